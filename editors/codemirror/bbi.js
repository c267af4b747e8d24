// The .bbi language for CodeMirror 6: highlighting, comments, brackets. Words are classified by their position, as in bbilang/pygments_lexer.py.
import {HighlightStyle, LanguageSupport, StreamLanguage, syntaxHighlighting} from "@codemirror/language"
import {tags} from "@lezer/highlight"

const STATEMENTS = /^(bbi|model|input|dataset|name|claim|output|set|use|def|interface|layout)\b(?=[ \t]+["\w]|[ \t]*\{)(?![ \t]+=)/
const ATOM = /^\.(neuron|spatial|channel|group|whole|pixel|class|token|frame|head|example)\b(?!\.)/
const PATH = /^[\p{L}_][\p{L}\p{N}_]*(\.(?!(neuron|spatial|channel|group|whole|pixel|class|token|frame|head|example)\b(?!\.))[\p{L}\p{N}_]+)*/u

export const mode = {
  name: "bbi",
  startState: () => ({depth: 0, piped: false}),
  copyState: state => ({...state}),
  token(stream, state) {
    if (stream.eatSpace()) return null
    if (stream.match(/^#.*/)) return "comment"
    const start = stream.sol() || /^\s*$/.test(stream.string.slice(0, stream.start))
    const piped = state.piped
    state.piped = false
    if (stream.match(piped ? /^\?\*?/ : /^\?/)) return "hole"
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string"
    if (start && state.depth === 0 && stream.match(STATEMENTS)) return "keyword"
    if (stream.match(/^(->|\.\.|[<>!=]=|[-+*/<>=])/)) return "operator"
    if (stream.match("|")) {
      state.piped = true
      return "operator"
    }
    if (stream.match(/^[([]/)) {
      state.depth++
      return "bracket"
    }
    if (stream.match(/^[)\]]/)) {
      state.depth = Math.max(0, state.depth - 1)
      return "bracket"
    }
    if (stream.match(ATOM)) return "typeName"
    if (stream.match(/^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/)) return "number"
    if (stream.match(/^(and|or|not|true|false|none|from)\b(?!\s*[=.])/)) return "atom"
    const word = stream.match(PATH)
    if (word) {
      if (piped) return "function"
      if (stream.match(/^\(/, false)) return /^(hover|click|lasso|pick|slider)$/.test(word[0]) ? "special" : "function"
      if (stream.match(/^\s*=(?!=)/, false)) return state.depth > 0 ? "propertyName" : "definition"
      return word[0].includes(".") ? "className" : "variableName"
    }
    stream.next()
    return null
  },
  blankLine(state) {
    state.piped = false
  },
  languageData: {commentTokens: {line: "#"}, closeBrackets: {brackets: ["(", "[", "{", '"']}},
  tokenTable: {
    function: tags.function(tags.variableName),
    special: tags.special(tags.variableName),
    hole: tags.special(tags.keyword),
    definition: tags.definition(tags.variableName),
  },
}

const style = HighlightStyle.define([
  {tag: tags.comment, color: "#6a737d", fontStyle: "italic"},
  {tag: tags.string, color: "#0a5c36"},
  {tag: tags.keyword, color: "#8a2be2", fontWeight: "600"},
  {tag: tags.special(tags.keyword), color: "#b3261e", fontWeight: "700"},
  {tag: tags.atom, color: "#8a2be2"},
  {tag: tags.number, color: "#b45309"},
  {tag: tags.operator, color: "#57606a"},
  {tag: tags.function(tags.variableName), color: "#0b5cad"},
  {tag: tags.special(tags.variableName), color: "#0b7a75"},
  {tag: tags.definition(tags.variableName), color: "#9a3412", fontWeight: "600"},
  {tag: tags.propertyName, color: "#7c3f00"},
  {tag: tags.className, color: "#24292f"},
  {tag: tags.typeName, color: "#0b7a75"},
])

export function bbi() {
  return new LanguageSupport(StreamLanguage.define(mode), [syntaxHighlighting(style)])
}
