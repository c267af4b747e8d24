-- A filter of pandoc 3 and Quarto: code blocks of the class `bbi` become pages.
--
--     pandoc page.md --lua-filter bbi.lua -o page.html
--
-- In Quarto: `filters: [bbi.lua]`. Options stand below `bbi:` in the document's metadata: strict, limits, settings,
-- draft, cache, root, and `python`, the interpreter that has bbilang. All blocks of a document are made in one process.

local function input_file()
  if quarto and quarto.doc and quarto.doc.input_file then return quarto.doc.input_file end
  return PANDOC_STATE.input_files[1] or ""
end

local function plain(value) -- metadata as strings, booleans and tables of these
  local kind = pandoc.utils.type(value)
  if kind == "boolean" then return value end
  if kind == "table" or kind == "Map" then
    local made = {}
    for name, inside in pairs(value) do made[name] = plain(inside) end
    return made
  end
  return pandoc.utils.stringify(value)
end

local function is_ours(block)
  return block.classes:includes("bbi") and not block.classes:includes("listing")
end

function Pandoc(document)
  local blocks = {}
  document:walk({ CodeBlock = function(block)
    if is_ours(block) then
      local options = {}
      for name, value in pairs(block.attributes) do options[name] = value end
      for _, class in ipairs(block.classes) do
        if class == "draft" then options.draft = "true" end
      end
      blocks[#blocks + 1] = { text = block.text, options = options }
    end
  end })
  if #blocks == 0 then return nil end
  local options = document.meta.bbi and plain(document.meta.bbi) or {}
  local shown = FORMAT:match("html") ~= nil
  local request = pandoc.json.encode({
    document = input_file(), output = PANDOC_STATE.output_file or "", options = options, blocks = blocks, shown = shown,
  })
  local answer = pandoc.json.decode(pandoc.pipe(options.python or "python3", { "-m", "bbilang.hosts.pandoc" }, request), false)
  if answer.failed then error("a `bbi` block has no page, and `strict` is set\n" .. answer.failed) end
  local number = 0
  return document:walk({ CodeBlock = function(block)
    if is_ours(block) then
      number = number + 1
      if answer.blocks[number] ~= "" then return pandoc.RawBlock("html", answer.blocks[number]) end
    end
  end })
end
