using Ottla.SystemTests.Clients;

// The test runner loads this assembly and never comes here. As a program of its own it is a member of a group, which a test can kill.
return args is ["group", var bootstrap, var group, var topic, var instance] ? ConfluentGroupMember.Run(bootstrap, group, topic, instance) : 2;
