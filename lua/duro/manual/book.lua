-- manual.book: the parts of the manual in order, and its entries by name; the chapters fill it (manual.lua).

local book = { parts = {}, entries = {} }


--- Begins a part: {title=, names={...}}.
function book.part(title)
  book.parts[#book.parts + 1] = { title = title, names = {} }
end


--- An entry of the part begun last.
function book.about(name, entry)
  local names = book.parts[#book.parts].names
  names[#names + 1] = name
  book.entries[name] = entry
end


return book
