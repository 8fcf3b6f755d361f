using System.CommandLine;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools;

if (KafkaToolRunner.Find(Environment.GetCommandLineArgs()[0], args) is { } invocation)
    return await KafkaToolRunner.RunAsync(invocation);
var arguments = RootCommandFactory.Create().Parse(args);
// No limit on how long the node takes to stop: the library's default kills the process two seconds after the signal.
var exitCode = await arguments.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
return arguments.Errors.Count > 0 ? ExitCode.Usage : exitCode;
