/** What a process must be allowed to do before it can serve pods; asked at start, so that the answer is one clear line. */
import { MeshError } from "../base/errors.ts";
import {
  AF_INET,
  CLONE_NEWNET,
  SO_MARK,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./constants.ts";
import { errnoText } from "./errno.ts";
import { checked, closeDescriptor, lastErrno, libc } from "./libc.ts";
import { NetworkNamespace } from "./network-namespace.ts";
import { trySetInt } from "./socket-options.ts";

/** Throws MeshError `system-failed` unless namespaces can be entered and sockets be given this mark. */
export function verifyPrivileges(mark: number): void {
  if (libc().setns(NetworkNamespace.own().fd, CLONE_NEWNET) !== 0)
    throw new MeshError(
      "system-failed",
      `Cannot enter network namespaces: ${errnoText(lastErrno())}; CAP_SYS_ADMIN is required`,
    );
  const fd = checked("socket", libc().socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const errno = trySetInt(fd, SOL_SOCKET, SO_MARK, mark);
  closeDescriptor(fd);
  if (errno !== 0)
    throw new MeshError(
      "system-failed",
      `Cannot mark sockets with ${mark}: ${errnoText(errno)}; CAP_NET_ADMIN is required`,
    );
}
