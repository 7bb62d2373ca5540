-- A module that cannot be loaded (threads_spec.lua).
error { code = "unlicensed", message = "there is no licence" }
