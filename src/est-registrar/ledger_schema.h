/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the ledger, by steps: each leads from one schema to the next, all make a new one.
 */
#pragma once

#define LEDGER_SCHEMA 3

#define LEDGER_CERTIFICATE_COLUMNS_1                                                             \
    "sha256, serial, der, subject_id, names_id, subject, key_sha256, holder, authenticator, op," \
    " label, rule, not_before, not_after, issued_at, collected_at, revoked_at"
#define LEDGER_CERTIFICATE_COLUMNS LEDGER_CERTIFICATE_COLUMNS_1 ", revoked_reason"

#define LEDGER_REQUEST_COLUMNS                                                               \
    "authenticator, op, label, names_id, key_sha256, subject, names, device, address, rule," \
    " state, reason, certificate, csr, asked_at, last_at, decided_at"

/* The databases differ in the names of types: of bytes, of 64-bit numbers, of an id that is never
 * given twice, and in what stands behind a table. */
#define LEDGER_SCHEMA_1(BYTES, NUMBER, END)                                                      \
    "CREATE TABLE certificates ("                                                                \
    " sha256 TEXT PRIMARY KEY, serial TEXT NOT NULL UNIQUE, der " BYTES " NOT NULL,"             \
    " subject_id TEXT NOT NULL, names_id TEXT NOT NULL, subject TEXT NOT NULL,"                  \
    " key_sha256 TEXT NOT NULL,"                                                                 \
    " holder TEXT NOT NULL, authenticator TEXT NOT NULL, op TEXT NOT NULL, label TEXT NOT NULL," \
    " rule TEXT NOT NULL, not_before " NUMBER " NOT NULL, not_after " NUMBER " NOT NULL,"        \
    " issued_at " NUMBER " NOT NULL, collected_at " NUMBER " NOT NULL DEFAULT 0,"                \
    " revoked_at " NUMBER " NOT NULL DEFAULT 0)" END ";"                                         \
    "CREATE INDEX certificate_by_request ON certificates (authenticator, key_sha256);"           \
    "CREATE INDEX certificate_by_subject ON certificates (subject_id, not_after);"

#define LEDGER_SCHEMA_2(BYTES, NUMBER, ID, END)                                                    \
    "CREATE TABLE requests ("                                                                      \
    " id " ID ", authenticator TEXT NOT NULL, op TEXT NOT NULL,"                                   \
    " label TEXT NOT NULL, names_id TEXT NOT NULL, key_sha256 TEXT NOT NULL,"                      \
    " subject TEXT NOT NULL, names TEXT NOT NULL, device TEXT NOT NULL, address TEXT NOT NULL,"    \
    " rule TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '',"                   \
    " certificate TEXT NOT NULL DEFAULT '', csr " BYTES " NOT NULL, asked_at " NUMBER " NOT NULL," \
    " last_at " NUMBER " NOT NULL, decided_at " NUMBER " NOT NULL DEFAULT 0)" END ";"              \
    "CREATE INDEX request_by_kind ON requests (authenticator, names_id);"                          \
    "CREATE INDEX request_by_age ON requests (last_at);"

#define LEDGER_SCHEMA_3(NUMBER)                                                         \
    "ALTER TABLE certificates ADD COLUMN revoked_reason " NUMBER " NOT NULL DEFAULT 0;" \
    "CREATE INDEX certificate_by_revocation ON certificates (not_after) WHERE revoked_at <> 0;"
