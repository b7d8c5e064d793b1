// Says whether a file is M, and with the words of Microsoft's parser why not: node parse.js FILE, beside node_modules.
const parser = require(require.resolve("@microsoft/powerquery-parser", { paths: [process.cwd()] }));
const { readFileSync } = require("fs");

parser.TaskUtils.tryLexParse(parser.DefaultSettings, readFileSync(process.argv[2], "utf8")).then((task) => {
    if (parser.TaskUtils.isError(task)) {
        console.error((task.error.innerError ?? task.error).message);
        process.exit(1);
    }
    console.log(task.ast.sectionMembers.elements.map((member) => member.namePairedExpression.key.literal).join("\n"));
});
