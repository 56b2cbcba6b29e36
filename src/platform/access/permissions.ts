/**
 * Who may do what: the one table from permission to roles. A route names exactly one permission; a role is
 * only ever a set of permissions. `admin` has all of them and is not listed.
 */
export const roles = [
  "admin",
  "operator",
  "developer",
  "approver",
  "producer",
  "consumer",
  "tenant-owner",
  "viewer",
] as const;
export type Role = (typeof roles)[number];

export const permissions = {
  "topics.read": ["operator", "developer", "producer", "consumer", "tenant-owner", "viewer"],
  "topics.write": ["operator", "developer", "tenant-owner"],
  "messages.publish": ["operator", "developer", "producer", "tenant-owner"],
  "messages.consume": ["operator", "developer", "consumer", "tenant-owner"],
  "messages.stream": ["operator", "developer", "producer", "consumer", "tenant-owner"],
  "messages.read": ["operator", "developer", "consumer", "tenant-owner", "viewer"],
  "messages.replay": ["operator", "developer", "tenant-owner"],
  "subscriptions.read": ["operator", "developer", "producer", "consumer", "tenant-owner", "viewer"],
  "subscriptions.write": ["operator", "developer", "consumer", "tenant-owner"],
  "gateway.read": ["operator", "developer", "tenant-owner", "viewer"],
  "gateway.write": ["operator"],
  "gateway.register": ["operator", "developer", "tenant-owner"],
  "gateway.delete": [], // of the admin alone
  "deployments.read": ["operator", "developer", "approver", "tenant-owner", "viewer"],
  "deployments.write": ["operator"],
  "deployments.freeze": ["operator", "tenant-owner"],
  "schemas.read": ["operator", "developer", "approver", "producer", "consumer", "tenant-owner", "viewer"],
  "schemas.write": ["operator", "developer", "tenant-owner"],
  "schemas.approve": ["approver"],
  "schemas.configure": ["operator", "tenant-owner"],
  "configs.read": ["operator", "developer", "approver", "tenant-owner", "viewer"],
  "configs.write": ["operator", "developer", "tenant-owner"],
  "configs.delete": [], // of the admin alone
  "configs.pin": ["operator"],
  "flags.evaluate": ["operator", "developer", "consumer", "tenant-owner", "viewer"],
  "instances.read": ["operator", "developer", "approver", "tenant-owner", "viewer"],
  // Who may speak for an instance gets its documents, secrets included.
  "instances.write": ["operator", "consumer", "tenant-owner"],
  "secrets.write": ["operator", "tenant-owner"],
  "approvals.read": ["operator", "developer", "approver", "tenant-owner", "viewer"],
  "approvals.request": ["operator", "developer", "tenant-owner"],
  "approvals.decide": ["approver"],
  "audit.read": ["operator", "tenant-owner"],
  "metrics.read": ["operator"], // not bound to a tenant: it names the topics of all of them
  "system.read": ["operator", "developer", "approver", "tenant-owner", "viewer"],
} as const satisfies Record<string, readonly Exclude<Role, "admin">[]>;

export type Permission = keyof typeof permissions;
