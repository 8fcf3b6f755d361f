using Ottla.Cli.Commands;

var arguments = RootCommandFactory.Create().Parse(args);
var exitCode = await arguments.InvokeAsync();
return arguments.Errors.Count > 0 ? ExitCode.Usage : exitCode;
