// The plain UDP echo: one blocking recvfrom, one sendto, for each datagram.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

int main(void) {
    static char buffer[65536];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) fail("bind");
    if (getsockname(fd, (struct sockaddr *)&at, &size) < 0) fail("getsockname");
    printf("listening on udp://127.0.0.1:%d (echo)\n", ntohs(at.sin_port));
    fflush(stdout);

    for (;;) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&peer, &length);
        if (got < 0) {
            if (errno == EINTR || errno == ECONNREFUSED) continue;
            fail("recvfrom");
        }
        // A full or refused answer is a lost datagram, which is UDP's right.
        (void)!sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&peer, length);
    }
}
