/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of the kernel's messages say that something has come up. */
#include "support.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "estcd/link.h"

#define UP (IFF_UP | IFF_RUNNING)

/* A datagram of messages as the kernel makes it. */
struct news {
    _Alignas(struct nlmsghdr) unsigned char data[1024];
    size_t len;
};

static struct nlmsghdr *add(struct news *n, unsigned type, size_t payload) {
    struct nlmsghdr *header = (void *)(n->data + n->len);
    *header = (struct nlmsghdr){.nlmsg_len = (unsigned)NLMSG_LENGTH(payload),
                                .nlmsg_type = (unsigned short)type};
    n->len += NLMSG_SPACE(payload);
    return header;
}

static void add_link(struct news *n, unsigned type, int index, unsigned flags) {
    struct ifinfomsg *link = NLMSG_DATA(add(n, type, sizeof(*link)));
    *link = (struct ifinfomsg){.ifi_index = index, .ifi_flags = flags};
}

static void add_address(struct news *n, unsigned scope, unsigned flags, unsigned made,
                        unsigned changed) {
    const struct ifa_cacheinfo times = {.cstamp = made, .tstamp = changed};
    struct nlmsghdr *header =
        add(n, RTM_NEWADDR, sizeof(struct ifaddrmsg) + RTA_SPACE(sizeof(times)) + RTA_SPACE(4));
    struct ifaddrmsg *address = NLMSG_DATA(header);
    *address = (struct ifaddrmsg){.ifa_scope = (unsigned char)scope, .ifa_index = 2};
    struct rtattr *a = IFA_RTA(address);
    *a = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(4), .rta_type = IFA_FLAGS};
    memcpy(RTA_DATA(a), &flags, sizeof(flags));
    a = (void *)((unsigned char *)a + RTA_SPACE(4));
    *a = (struct rtattr){.rta_len = (unsigned short)RTA_LENGTH(sizeof(times)),
                         .rta_type = IFA_CACHEINFO};
    memcpy(RTA_DATA(a), &times, sizeof(times));
}

static bool link_news(struct link_known *known, unsigned type, int index, unsigned flags) {
    struct news n = {.len = 0};
    add_link(&n, type, index, flags);
    return link_is_news(known, n.data, n.len);
}

static void a_link_is_news_when_it_comes_up(void **state) {
    (void)state;
    struct link_known known = {{0}};
    assert_false(link_news(&known, RTM_NEWLINK, 2, IFF_UP)); /* without a carrier */
    assert_true(link_news(&known, RTM_NEWLINK, 2, UP));
    assert_false(link_news(&known, RTM_NEWLINK, 2, UP | IFF_PROMISC)); /* some other change */
    assert_true(link_news(&known, RTM_NEWLINK, 3, UP));
    assert_false(link_news(&known, RTM_NEWLINK, 2, IFF_UP));
    assert_true(link_news(&known, RTM_NEWLINK, 2, UP));
    assert_false(link_news(&known, RTM_DELLINK, 2, UP));
    assert_true(link_news(&known, RTM_NEWLINK, 2, UP));
    assert_false(link_news(&known, RTM_NEWLINK, 1, UP | IFF_LOOPBACK));
    assert_false(link_news(&known, RTM_NEWLINK, 0, UP));
    assert_false(link_news(&known, RTM_NEWLINK, -1, UP));
}

static void too_many_links_are_no_loop(void **state) {
    (void)state;
    struct link_known known = {{0}};
    for (int i = 1; i <= LINK_KNOWN; i++)
        assert_true(link_news(&known, RTM_NEWLINK, i, UP));
    for (int i = 0; i < 3; i++)
        assert_false(link_news(&known, RTM_NEWLINK, LINK_KNOWN + 1, UP));
    assert_false(link_news(&known, RTM_DELLINK, 7, UP));
    assert_true(link_news(&known, RTM_NEWLINK, LINK_KNOWN + 1, UP));
}

static void an_address_is_news_when_it_is_made(void **state) {
    (void)state;
    static const struct {
        unsigned scope, flags, made, changed;
        bool news;
    } rows[] = {
        {RT_SCOPE_UNIVERSE, 0, 500, 500, true},
        {RT_SCOPE_UNIVERSE, IFA_F_PERMANENT, 500, 500, true},
        {RT_SCOPE_LINK, 0, 500, 500, true},
        {RT_SCOPE_UNIVERSE, 0, 500, 900, false}, /* its lifetime was renewed */
        {RT_SCOPE_HOST, 0, 500, 500, false},
        {RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE, 500, 500, false},
        {RT_SCOPE_UNIVERSE, IFA_F_DADFAILED, 500, 500, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct link_known known = {{0}};
        struct news n = {.len = 0};
        add_address(&n, rows[i].scope, rows[i].flags, rows[i].made, rows[i].changed);
        assert_int_equal(link_is_news(&known, n.data, n.len), rows[i].news);
    }
}

static void one_of_many_is_enough(void **state) {
    (void)state;
    struct link_known known = {{0}};
    struct news n = {.len = 0};
    add_address(&n, RT_SCOPE_HOST, 0, 1, 1);
    add_link(&n, RTM_NEWLINK, 2, UP);
    add(&n, RTM_NEWROUTE, sizeof(struct rtmsg));
    add_link(&n, RTM_NEWLINK, 3, IFF_UP);
    assert_true(link_is_news(&known, n.data, n.len));
    assert_false(link_is_news(&known, n.data, n.len));
}

/* Cut off anywhere, and with every byte changed: in its own block of memory, for the sanitizer. */
static void nothing_in_it_is_believed(void **state) {
    (void)state;
    struct news n = {.len = 0};
    add_link(&n, RTM_NEWLINK, 2, UP);
    add_address(&n, RT_SCOPE_UNIVERSE, 0, 500, 500);
    for (size_t len = 0; len <= n.len; len++) {
        struct link_known known = {{0}};
        unsigned char *copy = malloc(len + 1);
        memcpy(copy, n.data, len);
        link_is_news(&known, copy, len);
        free(copy);
    }
    for (size_t i = 0; i < n.len; i++)
        for (unsigned value = 0; value < 256; value += 15) {
            struct link_known known = {{0}};
            unsigned char *copy = malloc(n.len);
            memcpy(copy, n.data, n.len);
            copy[i] = (unsigned char)value;
            link_is_news(&known, copy, n.len);
            free(copy);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_news_when_it_comes_up),
        cmocka_unit_test(too_many_links_are_no_loop),
        cmocka_unit_test(an_address_is_news_when_it_is_made),
        cmocka_unit_test(one_of_many_is_enough),
        cmocka_unit_test(nothing_in_it_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
