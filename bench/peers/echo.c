// A minimal TCP echo on level-triggered epoll: the floor that the kernel sets for this work.
//
// One read buffer for all connections; a connection owns memory only while its peer has not taken an answer yet. While it owes
// bytes it waits for EPOLLOUT alone, so a peer that never reads stops being read from.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, EVENTS = 1024, FDS_MAX = 65536 };

struct owed {
    char *bytes;
    size_t length, sent;
};

static char buffer[BUFFER];
static struct owed owed[FDS_MAX];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void interest(int poll, int op, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll, op, fd, &event) < 0) fail("epoll_ctl");
}

static void hang_up(int fd) {
    free(owed[fd].bytes);
    owed[fd] = (struct owed){0};
    close(fd);
}

static void accept_all(int poll, int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno == EAGAIN) return;
            fail("accept4");
        }
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        interest(poll, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

// Reads once: level-triggered epoll reports what is left, and a second read would mostly find nothing.
static void answer(int poll, int fd) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        hang_up(fd);
        return;
    }
    ssize_t sent = write(fd, buffer, (size_t)got);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(fd);
        return;
    }
    if (sent < 0) sent = 0;
    if (sent == got) return;

    size_t rest = (size_t)(got - sent);
    char *bytes = malloc(rest);
    if (!bytes) fail("malloc");
    memcpy(bytes, buffer + sent, rest);
    owed[fd] = (struct owed){bytes, rest, 0};
    interest(poll, EPOLL_CTL_MOD, fd, EPOLLOUT);
}

static void pay(int poll, int fd) {
    struct owed *due = &owed[fd];
    ssize_t sent = write(fd, due->bytes + due->sent, due->length - due->sent);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (sent < 0) {
        hang_up(fd);
        return;
    }
    due->sent += (size_t)sent;
    if (due->sent < due->length) return;
    free(due->bytes);
    *due = (struct owed){0};
    interest(poll, EPOLL_CTL_MOD, fd, EPOLLIN);
}

int main(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    if (listener < 0) fail("socket");
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    if (getsockname(listener, (struct sockaddr *)&at, &size) < 0) fail("getsockname");

    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0) fail("epoll_create1");
    interest(poll, EPOLL_CTL_ADD, listener, EPOLLIN);
    printf("listening on tcp://127.0.0.1:%d (echo)\n", ntohs(at.sin_port));
    fflush(stdout);

    static struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) accept_all(poll, listener);
            else if (owed[fd].bytes) pay(poll, fd);
            else answer(poll, fd);
        }
    }
}
