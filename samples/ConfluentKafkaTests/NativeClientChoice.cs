using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Ottla.ConfluentDriver;

namespace Ottla.Samples.ConfluentKafkaTests;

/// <summary>Has all tests use the librdkafka of the package.</summary>
internal static class NativeClientChoice
{
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "Nothing else runs before every test.")]
    internal static void Make() => NativeClient.Load();
}
