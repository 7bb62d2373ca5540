-- manual: what duro.help says beyond the rows that check the calls: in which part of it a call stands, its errors
-- and an example; for what has no such row (ctx, the loop, the module) the signature and a sentence, too.
--
-- Signatures, sentences and options of calls are in their rows (calls.lua, options.lua), nowhere else. Examples are
-- run by spec/help_spec.lua. Each public method needs an entry: that spec names what lacks one.
-- Fields: errors = codes; example; signature, returns, doc = for what is no row of calls.lua; options = the name of
-- a spec. The chapters are in the order in which duro.help() shows them.

require "duro.manual.code"
require "duro.manual.calls"

return require "duro.manual.book"
