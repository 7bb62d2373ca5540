---@meta
-- types of replay.lua and testing.lua: for the tests of users, and for the gate before a deploy.
-- luacheck: ignore

---@class duro.Runtime
local Runtime = {}
---@class duro
local duro = {}

---A table that every JSON library can write and read. Events have their fields as on disk; payloads in them
---are texts of JSON, exactly as they are stored.
---@class duro.Export
---@field format integer 1
---@field vm "lua5.4"|"luajit"|"c"|"any" which VM began it
---@field instance_id string
---@field orchestration_name string
---@field version? string
---@field status duro.Status
---@field created_at duro.Time
---@field parent_instance? string
---@field executions {execution_id: integer, events: table[]}[]

---The whole instance with the histories of all its executions; with a path, into that file too, one line an
---event. Errors: not_found, storage (the file). context: anywhere.
---@param id string
---@param path? string
---@return duro.Export?, duro.Error?
function Runtime:export(id, path) end

---@class duro.ReplayOptions
---@field execution? integer only this one; default: all that ran the version of the latest
---@field codec? duro.Codec when the instance was stored with one
---@field guard? boolean|"strict" as for duro.orchestration, default true

---@class duro.Verdict `tostring` is a sentence
---@field ok boolean
---@field execution_id? integer where they part
---@field event_id? integer where they part
---@field expected? string what history has: "activity_scheduled 'charge'"
---@field got? string what the code asks for
---@field detail? string the message of the code's error, or the two inputs

---Whether `fn` fits the history of an export, or of the file of one. Strict: another input of the same call
---departs, too. No runtime is needed, and no activity runs. Errors: storage (the file), corrupt, unsupported
---(a codec is missing), not_found. context: anywhere but inside an orchestration.
---@param export duro.Export|string
---@param fn fun(ctx: duro.OrchestrationContext, input: duro.Value): duro.Value
---@param opts? duro.ReplayOptions
---@return duro.Verdict?, duro.Error?
function duro.replay(export, fn, opts) end

---@class duro.CheckOptions
---@field name string the orchestration
---@field version? string only instances that run this version
---@field fn fun(ctx: duro.OrchestrationContext, input: duro.Value): duro.Value the new code
---@field guard? boolean|"strict" as for duro.orchestration, default true

---@class duro.CheckReport `tostring` has a line for each that fails
---@field checked integer
---@field failing {instance_id: string, event_id: integer, expected: string, got: string, detail?: string}[]
---@field skipped integer those that another Lua VM runs

---Replays `fn` against every unfinished instance of that name: a gate before a deploy, also from another
---process while the owner runs. Nothing is changed. context: anywhere.
---@param options duro.CheckOptions
---@return duro.CheckReport?, duro.Error?
function Runtime:check(options) end

---@class duro.testing
local testing = {}

---In memory; its virtual clock skips time by itself while somebody waits. Raises when it cannot be opened.
---context: anywhere but inside duro's own code.
---@param options? duro.OpenOptions
---@return duro.TestRuntime
function testing.runtime(options) end

---A mock, or a result in the array of one, that fails with `err`. context: anywhere.
---@param err string|{code?: string, message?: string, data?: duro.Value, retryable?: boolean}
---@return function
function testing.fails(err) end

---@class duro.TestRuntime: duro.Runtime
local TestRuntime = {}

---@class duro.Mock
---@field name string
---@field calls {input?: duro.Value, attempt: integer, instance_id: string}[]

---Puts a function in the place of an activity, or what the first, second ... call gives: values, functions,
---duro.null for nil, duro.testing.fails(err) for a failure. One call more than that fails. context: anywhere.
---@param name string
---@param replacement function|any[]
---@return duro.Mock?, duro.Error?
function TestRuntime:mock_activity(name, replacement) end

---Starts it and waits: nil, err(timeout) when everything waits for something that nobody sends.
---@param name string
---@param input? duro.Value
---@param opts? duro.StartOptions
---@return duro.Value output, duro.Error?
function TestRuntime:run(name, input, opts) end

---Raises unless it has completed (with that output, when given).
---@param id string
---@param output? duro.Value
---@return duro.Value output
function TestRuntime:assert_completed(id, output) end
