using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Coordinators;

/// <summary>A command of a coordinator that is answered with a <typeparamref name="TReply"/>, or with an error.</summary>
/// <typeparam name="TCommand">The base of the machine's commands.</typeparam>
/// <typeparam name="TReply">The type of the reply.</typeparam>
public interface ICoordinatorCommand<out TCommand, TReply>
{
    /// <summary>The command itself.</summary>
    TCommand Command { get; }
}

/// <summary>Identifies a request that waits for its answer. The host assigns the number and never reuses it.</summary>
public readonly record struct ReplyTo(long Number)
{
    /// <summary>The request that asked <paramref name="command"/>: it waits for a reply of the command's type.</summary>
    public ReplyTo<TReply> For<TCommand, TReply>(ICoordinatorCommand<TCommand, TReply> command)
    {
        ArgumentNullException.ThrowIfNull(command); // else only its type is of interest
        return new ReplyTo<TReply>(this);
    }
}

/// <summary>A request that waits for a <typeparamref name="TReply"/>.</summary>
/// <param name="Request">The request.</param>
public readonly record struct ReplyTo<TReply>(ReplyTo Request);

/// <summary>The answer to a request: a <see cref="CoordinatorReply{TReply}"/>, or a <see cref="FailedReply"/>.</summary>
/// <param name="to">The request.</param>
public abstract class CoordinatorReply(ReplyTo to)
{
    /// <summary>The request.</summary>
    public ReplyTo To => to;

    /// <summary>The error; none when there is a reply.</summary>
    public virtual ApiError Error => ApiError.None;

    /// <summary>Gives the answer to its receiver. The host calls it.</summary>
    /// <param name="receiver">Waits for a reply of the type that the request's command has.</param>
    public abstract void Deliver(ReplyReceiver receiver);
}

/// <summary>A reply of a command's type.</summary>
/// <param name="to">The request.</param>
/// <param name="reply">The reply.</param>
public sealed class CoordinatorReply<TReply>(ReplyTo<TReply> to, TReply reply) : CoordinatorReply(to.Request)
{
    /// <summary>The reply.</summary>
    public TReply Reply => reply;

    /// <inheritdoc/>
    public override void Deliver(ReplyReceiver receiver)
    {
        Invariant.Check(receiver is ReplyReceiver<TReply>, "a command is answered with its own type of reply");
        ((ReplyReceiver<TReply>)receiver).Receive(reply);
    }
}

/// <summary>An error in place of a reply.</summary>
/// <param name="to">The request.</param>
/// <param name="error">The error.</param>
public sealed class FailedReply(ReplyTo to, ApiError error) : CoordinatorReply(to)
{
    /// <inheritdoc/>
    public override ApiError Error => error;

    /// <inheritdoc/>
    public override void Deliver(ReplyReceiver receiver) => receiver.Fail(error);
}

/// <summary>Waits for the answer to one request, outside of the machine.</summary>
public abstract class ReplyReceiver
{
    /// <summary>The request fails.</summary>
    public abstract void Fail(ApiError error);
}

/// <summary>Waits for a <typeparamref name="TReply"/>.</summary>
public abstract class ReplyReceiver<TReply> : ReplyReceiver
{
    /// <summary>Receives the reply.</summary>
    public abstract void Receive(TReply reply);
}
