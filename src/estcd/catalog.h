/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The events that somebody may want to find in the journal: each has a MESSAGE_ID that never
 * changes, and a text in systemd/estcd.catalog that says what it means and what to do (tests/lint
 * holds the two together). What is not in the table is logged without one.
 */
#pragma once

#include "common/journal.h"

/* X(name, MESSAGE_ID, level, label). The label is what ESTC_EVENT says. */
#define CATALOG_EVENTS(X)                                                                   \
    X(CATALOG_STARTED, "f41cf87ec743457ea031a242866b136e", NOTICE, "started")               \
    X(CATALOG_STOPPED, "e28208f20ad549b9b441019314c87bfb", NOTICE, "stopped")               \
    X(CATALOG_RELOADED, "5476e6e0d93946d197b055659fbda4a4", NOTICE, "reloaded")             \
    X(CATALOG_RELOAD_FAILED, "093bcc6210f64957be8cb88fab47d61f", ERROR, "reload-failed")    \
    X(CATALOG_ISSUED, "9ab3c0bd2fdc4be5b15f289fc4b85f35", NOTICE, "issued")                 \
    X(CATALOG_RENEWED, "7c1821cad55d4325be9f12da05ee8253", NOTICE, "renewed")               \
    X(CATALOG_ROLLED_BACK, "b7f2a6f7c9a94d0f8a1e52d3c60b9a14", NOTICE, "rolled-back")       \
    X(CATALOG_PENDING, "860535c22ce54ec0b71592a9d46636b3", NOTICE, "pending")               \
    X(CATALOG_FAILED, "4266157791254a6fb4b33b9c3ca71254", WARNING, "failed")                \
    X(CATALOG_CONFIG, "e68e09833a324207a7dd4e9e17a7ba30", WARNING, "config")                \
    X(CATALOG_STORE_UNFIT, "c49af1edbaf04e58a26d9c4b8a6da62c", ERROR, "store-unfit")        \
    X(CATALOG_TRUST_REPLACED, "5c1898aa7cce4e4bbfe39a5f3a63db5c", NOTICE, "trust-replaced") \
    X(CATALOG_CLOCK_DOUBTED, "8ef74c8dc2ee487da566130aec20a8e2", WARNING, "clock-doubted")  \
    X(CATALOG_CLOCK_BELIEVED, "82a6c5c4849e45bf80f931697edfe4d9", NOTICE, "clock-believed") \
    X(CATALOG_DEPLOYED, "0eea7ed828af4d6eac64cf7d8b00df39", INFO, "deployed")               \
    X(CATALOG_DEPLOY_FAILED, "fb0f98766cb746c7845719e5aa0159a0", WARNING, "deploy-failed")  \
    X(CATALOG_ALERT, "4f40beac38844bbd83c7bdca69d90b8b", WARNING, "alert")                  \
    X(CATALOG_ALERT_CLEARED, "ed2e4645275f4541a02f14c6d0c1ace7", NOTICE, "alert-cleared")   \
    X(CATALOG_ALERT_UNTOLD, "e2f1c7b08d514f34a6f0d8b9c3a7e516", WARNING, "alert-untold")    \
    X(CATALOG_REQUESTED, "7f7ce1b1d2f84d33b1c6e43c2c6a9f10", NOTICE, "requested")           \
    X(CATALOG_FORGOTTEN, "c1a54bb3a1c94b7d9a1b1c02f4e5d7a6", NOTICE, "forgotten")           \
    X(CATALOG_REQUEST_UNFIT, "5b0b0a6be5a64a5f8f0a5c8a1b3d9e42", WARNING, "request-unfit")  \
    X(CATALOG_PAUSED_ENDS, "1d1f2d0a58ab4d1f9c9a4de0be0c7a35", WARNING, "paused-ends")      \
    X(CATALOG_UNRECORDED, "e30e93607e3f41bc8edbc35b29a070e8", WARNING, "unrecorded")

#define CATALOG_ENUM(name, message_id, level, label) name,
enum catalog_event { CATALOG_EVENTS(CATALOG_ENUM) CATALOG_EVENT_MAX_ };
#undef CATALOG_ENUM

/*
 * One entry with MESSAGE_ID, ESTC_EVENT and, where an identity is meant, ESTC_ID; at the level of
 * the table. fields: more of them, "ESTC_RESULT=ok", NULL-ended, 8 at most; or NULL.
 */
void catalog_log(enum catalog_event event, const char *identity, const char *const *fields,
                 const char *fmt, ...) ESTC_PRINTF(4, 5);
