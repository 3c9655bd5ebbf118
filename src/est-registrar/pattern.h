/* SPDX-License-Identifier: BSD-2-Clause */
/* Patterns for names, tied to the certificate that authenticates. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

/*
 * True if text matches pattern as a whole, case ignored. "*" stands for one or more characters
 * other than ". / @ :". "${CN}" (and O, OU, C, ST, L, serialNumber, DC, UID) stands for that
 * attribute of holder's subject, letter for letter; without such an attribute, or with more than
 * one, nothing matches. Text with a NUL in it never matches: len counts.
 */
bool pattern_matches(const char *pattern, const char *text, size_t len, const X509 *holder);

/* True if the address (4 or 16 bytes) is the pattern's, or in its prefix ("10.0.0.0/8"). */
bool pattern_matches_ip(const char *pattern, const unsigned char *address, size_t len);
