/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything of libestc. */
#pragma once

#include <estc/beacon.h>
#include <estc/buf.h>
#include <estc/cert.h>
#include <estc/certs.h>
#include <estc/client.h>
#include <estc/coaps.h>
#include <estc/csr.h>
#include <estc/csrattrs.h>
#include <estc/discovery.h>
#include <estc/error.h>
#include <estc/key.h>
#include <estc/keypackage.h>
#include <estc/listener.h>
#include <estc/log.h>
#include <estc/op.h>
#include <estc/seek.h>
#include <estc/server.h>
#include <estc/transport.h>
#include <estc/trust.h>
#include <estc/url.h>
