/* SPDX-License-Identifier: BSD-2-Clause */
/* What the driver of a test can do to its world; world.py calls it. Times are nanoseconds. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Begins; the descriptor of the page, or -errno. real: seconds since 1970, on all machines. */
int decade_begin(int64_t real);
int64_t decade_now(void);

/* The driver waits, so time may move. 0, -EINTR, or -ETIMEDOUT when somebody hangs. */
int decade_wait(int64_t until);

/* Everybody is to look: the driver has done something that they cannot have seen. */
void decade_poke(void);

/* Somebody sets the wall clock of a machine by so much. */
void decade_step(unsigned machine, int64_t by);

/* A machine has started just now, and its wall clock says `real` since 1970. */
void decade_boot(unsigned machine, int64_t real);

/* A machine is suspended, or resumed: its processes stand still, and its monotonic clock. */
void decade_suspend(unsigned machine, int sleeps);

/* enum link_state, and how many datagrams in a thousand are lost where the link is up. */
void decade_link(unsigned state, unsigned loss_permille);

/* Datagrams, octets and ClientHellos that a machine has sent; of the world: datagrams lost, jumps
 * of time, rounds of looking. */
uint64_t decade_counter(unsigned machine, unsigned which);

/* What slot i does, for the message when somebody hangs; -1 behind the last. */
int decade_slot(unsigned i, char *text, size_t size);
