/** Numbers of the Linux kernel ABI. They are the same on x86_64 and arm64 (asm-generic); other machines are refused at load. */

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_KEEPALIVE = 9;
export const SO_REUSEPORT = 15;
export const SO_MARK = 36;

export const SOL_IP = 0;
export const IP_FREEBIND = 15;
export const IP_TRANSPARENT = 19;
/** Leaves the choice of the local port to connect(), so that ports are unique per peer, not per address. */
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const SO_ORIGINAL_DST = 80;

export const SOL_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const IPV6_TRANSPARENT = 75;
export const IPV6_FREEBIND = 78;
export const IP6T_SO_ORIGINAL_DST = 80;

export const SOL_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_USER_TIMEOUT = 18;

export const SCM_RIGHTS = 1;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

export const CLONE_NEWNET = 0x40000000;
/** ioctl on a namespace descriptor: which kind it is. */
export const NS_GET_NSTYPE = 0xb703;
export const RLIMIT_NOFILE = 7;
/** Duplicates above the standard streams, closed on exec. */
export const F_DUPFD_CLOEXEC = 1030;

export const EAGAIN = 11;
export const EINTR = 4;
export const ECONNABORTED = 103;
export const EISCONN = 106;
export const EALREADY = 114;
export const EINPROGRESS = 115;

export const SHUT_WR = 1;
export const SO_ERROR = 4;
export const SO_LINGER = 13;
export const MSG_PEEK = 0x2;
/** More will follow at once: do not send a segment for this alone. */
export const MSG_MORE = 0x8000;

export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
/** The other side sends nothing more. */
export const EPOLLRDHUP = 0x2000;
/** Tell of changes, not of states. */
export const EPOLLET = -0x80000000;
