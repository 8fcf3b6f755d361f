namespace Ottla.StateMachines.Controller;

/// <summary>The result of a command: records to write and a reply. Nothing changes until the records are applied.</summary>
/// <typeparam name="TRecord">The type of the records.</typeparam>
/// <typeparam name="TReply">The type of the reply.</typeparam>
/// <param name="Records">The records to write to the log; empty when nothing changes.</param>
/// <param name="Reply">The reply to send when the records are committed.</param>
/// <param name="IsAtomic">Whether the records must be written as one batch. Otherwise they may be split.</param>
public readonly record struct Decision<TRecord, TReply>(IReadOnlyList<TRecord> Records, TReply Reply, bool IsAtomic);
