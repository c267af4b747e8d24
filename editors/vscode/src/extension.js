// Starts `bbi lsp` and hands it every .bbi text.
const vscode = require("vscode")
const {LanguageClient} = require("vscode-languageclient/node")

let client

function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("bbi").get("command")
  const server = {command, args}
  const texts = {documentSelector: [{language: "bbi"}]}
  client = new LanguageClient("bbi", "bbi", server, texts)
  return client.start().catch(error => {
    vscode.window.showErrorMessage(
      `bbi: the language server does not start (${error.message}). Install it with pip install 'bbilang[lsp]', and set bbi.command to the path of bbi.`,
    )
  })
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("bbi.restart", async () => {
      await client?.stop().catch(() => {})
      await start()
    }),
  )
  await start()
}

module.exports = {activate, deactivate: () => client?.stop()}
