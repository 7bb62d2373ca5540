-- The options of ctx:activity are read in two ways: quickly in C, and with a word about what is wrong in
-- Lua. Whatever the quick way takes must come out as the careful way writes it.

local core = require "duro.core"
local orchestration = require "duro.orchestration"

local quick, careful = core.ops.call_options, orchestration.activity_options


describe("the options of an activity", function()
  it("are the same text both ways", function()
    for _, opts in ipairs {
      {},
      { timeout = 30 }, { timeout = "1h30m" }, { timeout = 0.0006 }, { attempt_timeout = "250ms" },
      { heartbeat_timeout = 5, timeout = "2d", attempt_timeout = 1 },
      { queue = "gpu" },
      { retry = {} },
      { retry = { max_attempts = 5 } },
      { retry = { max_attempts = 1, backoff = "fixed", initial = "1s", max = 60, multiplier = 3, jitter = true } },
      { retry = { backoff = "linear", multiplier = 1.5, non_retryable = { "a", "b.c" } }, timeout = 9, queue = "q" },
      { retry = { non_retryable = {} } },
    } do
      local text = quick(opts)
      assert.is_string(text)
      assert.equal(careful(opts), text)
    end
  end)

  it("are left to the careful way when they are not plainly right", function()
    for _, opts in ipairs {
      { timout = 30 }, { timeout = -1 }, { timeout = "soon" }, { timeout = true }, { timeout = 0 / 0 },
      { timeout = 0 }, { timeout = 0.0004 }, { attempt_timeout = 0 }, { heartbeat_timeout = 0 },
      { queue = "" }, { queue = "two words" }, { queue = 5 }, { queue = ("q"):rep(129) }, { [1] = 2 },
      { retry = 3 }, { retry = { max_attempts = 0 } }, { retry = { max_attempts = 1.5 } },
      { retry = { backoff = "none" } }, { retry = { jitter = 1 } }, { retry = { multiplier = 0.5 } },
      { retry = { multiplier = 0 / 0 } }, { retry = { non_retryable = "one" } },
      { retry = { non_retryable = { 1 } } }, { retry = { initial = -1 } }, { retry = { attempts = 3 } },
      setmetatable({}, {}),
    } do
      assert.is_nil((quick(opts)))
    end
    assert.is_nil((quick("x")))
    assert.equal('{"retry":{"backoff":"exponential","initial_ms":100,"jitter":false,"max_attempts":3,'
      .. '"max_ms":30000,"multiplier":2,"non_retryable":["one"]}}', careful { retry = { non_retryable = "one" } })
  end)
end)
