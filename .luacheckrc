-- What luacheck may find: the code runs on Lua 5.4 and on LuaJIT alike.
std = "lua54+luajit"
max_line_length = 120
cache = false
files["examples/openresty"] = { std = "+ngx_lua" }
files["spec"] = { std = "+busted" }
