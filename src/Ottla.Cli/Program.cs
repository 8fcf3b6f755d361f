using Ottla.Cli.Commands;

return await RootCommandFactory.Create().Parse(args).InvokeAsync();
