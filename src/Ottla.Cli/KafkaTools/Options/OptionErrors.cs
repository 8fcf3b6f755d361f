namespace Ottla.Cli.KafkaTools.Options;

/// <summary>The parser found something that no tool can take: an unknown option, a value that cannot be read.</summary>
/// <param name="message">What is wrong, in the words of Kafka's parser.</param>
internal sealed class OptionException(string message) : Exception(message);

/// <summary>The options do not make sense together. The tool prints the message and its options, and ends with 1.</summary>
/// <param name="message">What is wrong.</param>
internal sealed class UsageException(string message) : Exception(message);
