-- The example for nginx, in a real nginx, where one is installed (Debian: nginx and libnginx-mod-http-lua;
-- DURO_NGINX_ROOT names a folder into which their packages were unpacked). HTTP goes through a Unix socket.

if not rawget(_G, "jit") then return end -- nginx runs LuaJIT

local shell = require "spec.support.shell"

local ROOT = os.getenv("DURO_NGINX_ROOT") or ""
local NGINX = ROOT .. "/usr/sbin/nginx"
local MODULES = ROOT .. "/usr/lib/nginx/modules"


local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end


local function missing()
  local installed = exists(NGINX) and exists(MODULES .. "/ngx_http_lua_module.so")
  if not installed then return "there is no nginx with Lua here" end
  if shell.output("command -v curl") == "" then return "there is no curl here" end
end


describe("orders inside nginx", function()
  local folder

  local function run(command)
    return shell.output(("cd %s && %s"):format(folder, command))
  end

  -- The configuration of the example, for this folder and the build that runs the specs.
  local function configure()
    local file = assert(io.open("examples/openresty/nginx.conf"))
    local text = file:read("*a")
    file:close()
    local here = shell.output("pwd"):gsub("\n", "")
    text = text:gsub("/usr/lib/nginx/modules", MODULES)
      :gsub("listen [^;]+", "listen unix:" .. folder .. "/socket")
      :gsub('lua_package_path "', ('%%0%s/?.lua;%s/?.lua;'):format(here .. "/examples/openresty",
        ROOT .. "/usr/share/lua/5.1"))
      :gsub("%$prefix/lua/", here .. "/lua/")
      :gsub('lua_package_cpath "', "%0" .. package.cpath .. ";")
    if run("id -u"):match("^0") then text = "user root;\n" .. text end
    file = assert(io.open(folder .. "/nginx.conf", "w"))
    file:write(text)
    file:close()
  end

  local function start()
    run(("rm -f socket; %s -p %s/ -e %s/log -c nginx.conf >>out 2>&1 &"):format(NGINX, folder, folder))
  end

  -- Ends the master and its workers, with a signal that nobody can catch.
  local function kill()
    run("master=$(cat orders/nginx.pid) && kill -9 $master $(pgrep -P $master)")
  end

  local function get(path)
    return (run(("curl -s -m 10 --retry 50 --retry-delay 0 --retry-connrefused --retry-all-errors "
      .. "--unix-socket socket 'http://nginx%s' 2>&1"):format(path)):gsub("\n$", ""))
  end

  it("go on when every process of it was killed", function()
    local why = missing()
    if why then return pending(why) end
    folder = shell.output("mktemp -d"):gsub("\n", "")
    finally(function()
      kill()
      shell.output("rm -rf " .. folder)
    end)
    run("mkdir orders")
    configure()
    start()
    assert.equal("o-1", get("/start?id=o-1&total=5"))
    assert.matches("^already_exists: instance 'o%-1' exists already", get("/start?id=o-1&total=5"))
    assert.matches("^waiting: waits for event 'shipped'", get("/why?id=o-1"))
    kill()
    start()
    assert.equal("receipt for 5, attempt 1, shipped by mail", get("/ship?id=o-1&by=mail"))
    assert.equal("not_found: no instance 'o-2'", get("/ship?id=o-2&by=mail"))
  end)
end)
