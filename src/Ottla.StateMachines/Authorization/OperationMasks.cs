using Ottla.Protocol;

namespace Ottla.StateMachines.Authorization;

/// <summary>
/// The operations that access control entries allow and deny, a bit for each. A denied operation is denied, whatever allows it.
/// </summary>
internal struct OperationMasks
{
    /// <summary>The operations that an entry allows, with those that they imply.</summary>
    public int Allowed;

    /// <summary>The operations that an entry denies.</summary>
    public int Denied;

    /// <summary>The code of an entry for all operations.</summary>
    public const sbyte All = 2;

    /// <summary>The operations that remain allowed.</summary>
    public readonly int Effective => Allowed & ~Denied;

    /// <summary>The bit of an operation.</summary>
    public static int BitOf(AclOperation operation) => 1 << (int)operation;

    /// <summary>
    /// The operations that an entry allows: whoever may read, write, delete or alter something may describe it, and who may alter configs
    /// may describe them.
    /// </summary>
    public static int AllowedBy(sbyte operation)
    {
        var implied = (AclOperation)operation switch
        {
            AclOperation.Read or AclOperation.Write or AclOperation.Delete or AclOperation.Alter => BitOf(AclOperation.Describe),
            AclOperation.AlterConfigs => BitOf(AclOperation.DescribeConfigs),
            _ => 0,
        };
        return DeniedBy(operation) | implied;
    }

    /// <summary>The operations that an entry denies: to deny reading does not deny describing.</summary>
    public static int DeniedBy(sbyte operation) => operation switch
    {
        All => -1,
        > All and < 32 => 1 << operation,
        _ => 0,
    };
}
