-- A module that gives no table of functions (threads_spec.lua).
return "a text"
