/** Who may do what: the table of permissions and the decision over it. */
export { authorize, type Decision, decide, hasPermission, type Resource } from "./access.ts";
export { type Permission, permissions, type Role, roles } from "./permissions.ts";
