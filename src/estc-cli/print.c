/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Data. The only file of estc that knows of terminals and of what can go wrong with
 * stdout; what is written and when is decided elsewhere.
 */
#include "print.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "say.h"

void print_json(json_t *json) {
    _cleanup(freep) char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    if (text)
        puts(text);
    else
        say_out_of_memory();
}

void print_ascii(const char *text) {
    for (; *text; text++)
        putchar((*text >= ' ' && *text <= '~') || *text == '\n' ? *text : '?');
}

bool print_finish(void) {
    bool failed = ferror(stdout); /* earlier, its cause forgotten */
    clearerr(stdout);             /* an error is said once */
    int error = fflush(stdout) == 0 ? 0 : errno;
    if (error == EPIPE || (!error && !failed))
        return true;
    say_error("cannot write to standard output: %s", strerror(error ? error : EIO));
    return false;
}

bool print_reader_gone(void) {
    struct pollfd p = {.fd = STDOUT_FILENO};
    return poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLNVAL);
}

struct print_style print_style_of(FILE *out) {
    struct print_style style = {0};
    if (!isatty(fileno(out)))
        return style;
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    style.colour = !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
        style.width = size.ws_col;
    return style;
}
