/* Stands between a program and the C library (LD_PRELOAD): writes down what it asks of the disk, and lets calls fail.
 *
 *   CALLS_RECORD  file that gets a line for each call: "begin" or "end", thread, call, device, inode, bytes, path[, new]
 *   CALLS_FAIL    "CALL ERRNO AFTER PART": a call fails on paths that contain PART, after so many bytes (write) or calls
 *   CALLS_HANG    "CALL SECONDS PART": a call takes that long
 *   CALLS_SKEW    seconds by which the clock of the day is wrong
 *   CALLS_FOLD    folder below which A and a are one letter
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))

static atomic_long failed_after;

static void *real(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

/* the path of an open file, or of a name in an open folder */
static void path_at(int folder, const char *name, char *path) {
  char link[64];
  path[0] = 0;
  if (name && (name[0] == '/' || folder == AT_FDCWD)) {
    snprintf(path, PATH_MAX, "%s", name);
    return;
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  length = length < 0 ? 0 : length;
  path[length] = 0;
  if (name) snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static void record(const char *when, const char *call, int fd, long bytes, const char *path, const char *new) {
  const char *file = getenv("CALLS_RECORD");
  if (!file) return;
  int before = errno;
  struct stat found = {0};
  if (fd >= 0 ? fstat(fd, &found) : lstat(new ? new : path, &found)) found.st_ino = 0;
  char line[3 * PATH_MAX];
  int length = snprintf(line, sizeof line, "%s\t%ld\t%s\t%ld\t%ld\t%ld\t%s\t%s\n", when, (long)syscall(SYS_gettid), call,
                        (long)found.st_dev, (long)found.st_ino, bytes, path, new ? new : "");
  int out = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (out >= 0) {
    syscall(SYS_write, out, line, length);
    syscall(SYS_close, out);
  }
  errno = before;
}

static int is_meant(const char *setting, const char *call, const char *path, long *first, long *second) {
  char name[32], part[256] = "";
  const char *text = getenv(setting);
  if (!text || sscanf(text, "%31s %ld", name, first) < 2 || strcmp(name, call)) return 0;
  if (second) sscanf(text, "%*s %*d %ld %255s", second, part);
  else sscanf(text, "%*s %*d %255s", part);
  return strstr(path, part) != NULL;
}

/* 0 to go on; else the errno. Of a write, *count may become smaller. */
static int fails(const char *call, const char *path, size_t *count) {
  long number = 0, after = 0, seconds = 0;
  if (is_meant("CALLS_HANG", call, path, &seconds, NULL)) {
    struct timespec pause = {seconds, 0};
    while (nanosleep(&pause, &pause) && errno == EINTR) continue;
  }
  if (!is_meant("CALLS_FAIL", call, path, &number, &after)) return 0;
  long before = atomic_fetch_add(&failed_after, count ? (long)*count : 1);
  if (before >= after) return (int)number;
  if (count && before + (long)*count > after) *count = after - before;
  return 0;
}

#define FAIL_OR_GO_ON(call, path, count)            \
  do {                                              \
    int number = fails(call, path, count);          \
    if (number) { errno = number; return -1; }      \
  } while (0)

static int is_told(int fd) {
  struct stat found;
  return fd == 1 || fd == 2 || (fstat(fd, &found) == 0 && S_ISREG(found.st_mode));
}

ssize_t write(int fd, const void *data, size_t count) {
  char path[PATH_MAX];
  if (!is_told(fd)) return REAL(write)(fd, data, count);
  path_at(fd, NULL, path);
  FAIL_OR_GO_ON("write", path, &count);
  ssize_t done = REAL(write)(fd, data, count);
  record("end", "write", fd, done, path, NULL);
  return done;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t at) {
  char path[PATH_MAX];
  path_at(fd, NULL, path);
  FAIL_OR_GO_ON("write", path, &count);
  ssize_t done = REAL(pwrite64)(fd, data, count, at);
  record("end", "write", fd, done, path, NULL);
  return done;
}

/* several blocks at once: all of them, or as if there were no room for any */
static int blocks_fail(int fd, const struct iovec *data, int count, char *path) {
  size_t size = 0;
  path_at(fd, NULL, path);
  for (int i = 0; i < count; i++) size += data[i].iov_len;
  size_t left = size;
  int number = fails("write", path, &left);
  return number ? number : left < size ? ENOSPC : 0;
}

#define BLOCKS(call, parameters, ...)               \
  ssize_t call parameters {                         \
    char path[PATH_MAX];                            \
    if (!is_told(fd)) return REAL(call)(__VA_ARGS__); \
    int number = blocks_fail(fd, data, count, path); \
    if (number) { errno = number; return -1; }      \
    ssize_t done = REAL(call)(__VA_ARGS__);         \
    record("end", "write", fd, done, path, NULL);   \
    return done;                                    \
  }
BLOCKS(writev, (int fd, const struct iovec *data, int count), fd, data, count)
BLOCKS(pwritev64, (int fd, const struct iovec *data, int count, off64_t at), fd, data, count, at)
BLOCKS(pwritev64v2, (int fd, const struct iovec *data, int count, off64_t at, int flags), fd, data, count, at, flags)

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t count, unsigned int flags) {
  char path[PATH_MAX];
  path_at(to, NULL, path);
  FAIL_OR_GO_ON("write", path, &count);
  ssize_t done = REAL(copy_file_range)(from, a, to, b, count, flags);
  record("end", "write", to, done, path, NULL);
  return done;
}

#define FLUSH(call)                                 \
  int call(int fd) {                                \
    char path[PATH_MAX];                            \
    path_at(fd, NULL, path);                        \
    record("begin", #call, fd, 0, path, NULL);      \
    FAIL_OR_GO_ON(#call, path, NULL);               \
    int done = REAL(call)(fd);                      \
    if (done == 0) record("end", #call, fd, 0, path, NULL); \
    return done;                                    \
  }
FLUSH(fsync)
FLUSH(fdatasync)
FLUSH(syncfs)

static const char *folded(const char *name, char *to);

/* a full disk refuses what would be new only */
static int is_new(int folder, const char *name) {
  struct stat found;
  int before = errno, missing = fstatat(folder, name, &found, AT_SYMLINK_NOFOLLOW);
  errno = before;
  return missing;
}

static int moved(const char *call, int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
  char old[PATH_MAX], new[PATH_MAX], a[PATH_MAX], b[PATH_MAX];
  path_at(from_folder, from, old);
  path_at(to_folder, to, new);
  FAIL_OR_GO_ON(call, new, NULL);
  from = folded(from, a), to = folded(to, b);
  int done = !strcmp(call, "link") ? REAL(linkat)(from_folder, from, to_folder, to, (int)flags)
                                   : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  if (done == 0) record("end", call, -1, 0, old, new);
  return done;
}

int rename(const char *from, const char *to) { return moved("rename", AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return moved("rename", a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned int f) { return moved("rename", a, from, b, to, f); }
int link(const char *from, const char *to) { return moved("link", AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int f) { return moved("link", a, from, b, to, f); }

int symlink(const char *from, const char *to) {
  FAIL_OR_GO_ON("symlink", to, NULL);
  return REAL(symlink)(from, to);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *with) {
  int number = fails("thread", "", NULL);
  return number ? number : REAL(pthread_create)(thread, attributes, run, with);
}

/* the clock of the day */

static long skew(void) {
  const char *text = getenv("CALLS_SKEW");
  return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int done = REAL(clock_gettime)(clock, now);
  if (clock == CLOCK_REALTIME) now->tv_sec += skew();
  return done;
}

time_t time(time_t *now) {
  time_t seconds = REAL(time)(NULL) + skew();
  if (now) *now = seconds;
  return seconds;
}

/* a disk on which A and a are one letter: every name below the folder is made small */

static const char *folded(const char *name, char *to) {
  const char *folder = getenv("CALLS_FOLD");
  if (!folder || !name) return name;
  size_t length = strlen(folder);
  size_t from = name[0] == '/' ? length : 0; /* a name in an open folder is folded, too */
  if ((name[0] == '/' && strncmp(name, folder, length)) || strlen(name) >= PATH_MAX) return name;
  strcpy(to, name);
  for (char *letter = to + from; *letter; letter++) *letter = (char)tolower((unsigned char)*letter);
  return to;
}

int open64(const char *name, int flags, ...) {
  char to[PATH_MAX];
  if (flags & O_CREAT && is_new(AT_FDCWD, name)) FAIL_OR_GO_ON("open", name, NULL);
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return REAL(open64)(folded(name, to), flags, mode);
}

int openat64(int folder, const char *name, int flags, ...) {
  char to[PATH_MAX];
  if (flags & O_CREAT && is_new(folder, name)) FAIL_OR_GO_ON("open", name, NULL);
  va_list more;
  va_start(more, flags);
  mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return REAL(openat64)(folder, folded(name, to), flags, mode);
}

#define FOLDED(kind, call, parameters, ...)         \
  kind call parameters {                            \
    char to[PATH_MAX];                              \
    return REAL(call)(__VA_ARGS__);                 \
  }
FOLDED(int, stat64, (const char *name, struct stat64 *found), folded(name, to), found)
FOLDED(int, lstat64, (const char *name, struct stat64 *found), folded(name, to), found)
FOLDED(int, fstatat64, (int folder, const char *name, struct stat64 *found, int flags), folder, folded(name, to), found,
       flags)

int mkdirat(int folder, const char *name, mode_t mode) {
  char to[PATH_MAX], path[PATH_MAX];
  path_at(folder, name, path);
  if (is_new(folder, name)) FAIL_OR_GO_ON("mkdir", path, NULL);
  int done = REAL(mkdirat)(folder, folded(name, to), mode);
  if (done == 0) record("end", "mkdir", -1, 0, path, NULL);
  return done;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlink(const char *name) {
  char to[PATH_MAX];
  record("end", "unlink", -1, 0, name, NULL); /* its inode may be another file's next */
  return REAL(unlink)(folded(name, to));
}

int unlinkat(int folder, const char *name, int flags) {
  char to[PATH_MAX], path[PATH_MAX];
  path_at(folder, name, path);
  record("end", "unlink", -1, 0, path, NULL);
  return REAL(unlinkat)(folder, folded(name, to), flags);
}

FOLDED(int, access, (const char *name, int mode), folded(name, to), mode)
FOLDED(DIR *, opendir, (const char *name), folded(name, to))
