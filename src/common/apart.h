/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Work in a process of its own, for what a daemon of years must not have done in it: a library that
 * keeps memory once it is awake, a module of somebody else. For short work; the caller waits.
 */
#pragma once

#include <stddef.h>

#include <estc/buf.h>
#include <estc/error.h>

/* Writes what it finds to out. It has a copy of everything, and nothing that it changes is seen. */
typedef int (*apart_fn)(struct estc_buf *out, void *arg);

/* 0 and what work has written, at most max bytes; otherwise what it returned (negative), or -EIO
 * when it did not come to its end. */
int apart_run(apart_fn work, void *arg, size_t max, struct estc_buf *out, struct estc_error *err);
