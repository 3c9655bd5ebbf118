/* SPDX-License-Identifier: BSD-2-Clause */
/* Prose. Every text that estc says to people goes through here and is cleaned. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/exitcode.h"

static void say(const char *prefix, const char *fmt, va_list args) ESTC_PRINTF(2, 0);
static void say(const char *prefix, const char *fmt, va_list args) {
    _cleanup(freep) char *line = text_vformat(fmt, args);
    if (!line)
        return;
    text_clean_in_place(line);
    fprintf(stderr, "%s%s\n", prefix, line);
}

void say_error(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say("estc: ", fmt, args);
    va_end(args);
}

void say_note(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    say("", fmt, args);
    va_end(args);
}

int say_out_of_memory(void) {
    say_error("out of memory");
    return EXIT_FAILED;
}
