/* SPDX-License-Identifier: BSD-2-Clause */
/* org.varlink.service, which every Varlink service has: who we are and what we speak. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ctl/internal.h"

static void handle_get_info(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    (void)arg; /* the program's; not for us */
    const struct ctl_service *service = call->service;
    ctl_call_reply(call,
                   json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", service->vendor, "product",
                             service->product, "version", service->version, "url", service->url,
                             "interfaces", ctl_builtin_interface.name, service->interface->name),
                   false);
}

static void handle_get_description(struct ctl_call *call, json_t *params, void *arg) {
    (void)arg;
    const char *name = json_string_value(json_object_get(params, "interface"));
    const struct ctl_interface *known = dispatch_interface(call->service, name, strlen(name));
    if (!known) {
        ctl_call_error(call, "InterfaceNotFound", json_pack("{s:s}", "interface", name));
        return;
    }
    _cleanup(freep) char *text = ctl_interface_text(known);
    ctl_call_reply(call, json_pack("{s:s}", "description", text ? text : ""), false);
}

static const struct ctl_field info_out[] = {
    {"vendor", CTL_STRING}, {"product", CTL_STRING},     {"version", CTL_STRING},
    {"url", CTL_STRING},    {"interfaces", CTL_STRINGS}, {NULL},
};
static const struct ctl_field interface_field[] = {{"interface", CTL_STRING}, {NULL}};
static const struct ctl_field description_field[] = {{"description", CTL_STRING}, {NULL}};
static const struct ctl_field method_field[] = {{"method", CTL_STRING}, {NULL}};
static const struct ctl_field parameter_field[] = {{"parameter", CTL_STRING}, {NULL}};

static const struct ctl_method builtin_methods[] = {
    {
        .name = "GetInfo",
        .out = info_out,
        .handle = handle_get_info,
        .doc = "Who answers here, and which interfaces it has.",
    },
    {
        .name = "GetInterfaceDescription",
        .in = interface_field,
        .out = description_field,
        .handle = handle_get_description,
        .doc = "One interface in Varlink's notation.",
    },
    {NULL},
};

static const struct ctl_error_type builtin_errors[] = {
    {"InterfaceNotFound", interface_field, "There is no such interface here."},
    {"MethodNotFound", method_field, "The interface has no such method."},
    {"MethodNotImplemented", method_field, "The method is described but gave no answer."},
    {"InvalidParameter", parameter_field,
     "A member of the call is missing, unknown, too long or of the wrong type."},
    {"ExpectedMore", NULL, "The method has to be called with 'more'."},
    {NULL},
};

const struct ctl_interface ctl_builtin_interface = {
    .name = "org.varlink.service",
    .doc = "What every Varlink service can be asked.",
    .methods = builtin_methods,
    .errors = builtin_errors,
};
