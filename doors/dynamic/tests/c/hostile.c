/* A plugin that breaks the contract: in its table, as the macros of the command line say, or in its calls, as the option "does" says. */

#include "tapedeck_plugin.h"

#ifndef MAGIC
#define MAGIC TAPEDECK_MAGIC
#endif
#ifndef SIZE
#define SIZE sizeof(tapedeck_plugin_table)
#endif
#ifndef MAJOR
#define MAJOR TAPEDECK_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR TAPEDECK_ABI_MINOR
#endif
#ifndef KIND
#define KIND TAPEDECK_TRANSFORM
#endif
#ifndef PROCESS
#define PROCESS process
#endif
#ifndef CLOSE
#define CLOSE close_hostile
#endif
#ifndef NAME
#define NAME "hostile"
#endif
#ifndef SAID_KIND
#define SAID_KIND "transform"
#endif
#ifndef OPTIONS
#define OPTIONS "{\"type\":\"object\"}"
#endif
#ifndef DESCRIPTOR
#define DESCRIPTOR                                                                                                             \
    "{\"name\":\"" NAME "\",\"kind\":\"" SAID_KIND "\",\"version\":\"1\",\"summary\":\"Breaks rules\",\"takes\":[\"attributes\"],"   \
    "\"gives\":[\"attributes\"],\"extension\":null,\"needs_journal\":false,\"needs_rate\":false,\"options\":" OPTIONS "}"
#endif
#ifndef PADDING
#define PADDING 0
#endif
#ifndef MORE
#define MORE 0
#endif

#ifdef SHORT_TABLE
/* No longer than it says: whoever reads on reads something else. */
TAPEDECK_EXPORT const struct {
    uint32_t magic, size;
    uint16_t abi_major, abi_minor;
    uint32_t kind;
    void (*describe)(tapedeck_bytes *);
} tapedeck_plugin_short __asm__("tapedeck_plugin") = {MAGIC, 24, MAJOR, MINOR, KIND, NULL};
#else

static char does[64];
static int calls;

/* How often `close` was called and how many slabs were released: the test reads them as the name of an artifact. */
static int closed, released;

static void count(void *owner)
{
    released++;
    free(owner);
}

static void describe(tapedeck_bytes *descriptor)
{
    size_t length = sizeof DESCRIPTOR - 1;
    char *text = (char *)malloc(length + PADDING + 1);
    memcpy(text, DESCRIPTOR, length);
    while (length < sizeof DESCRIPTOR - 1 + PADDING) text[length++] = ' ';
    text[length] = 0;
    *descriptor = tapedeck_malloced(text);
    descriptor->length += MORE;
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    (void)options;
    (void)error;
    return TAPEDECK_OK;
}

static int unfollowed;

static void unfollow(void *data)
{
    (void)data;
    unfollowed++;
}

/* A follower that can't be told anything. */
static const tapedeck_follower nobody = {NULL, NULL, unfollow};

static int32_t open_hostile(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                            const tapedeck_host *host, void **instance, tapedeck_error *error)
{
    (void)context;
    (void)inputs;
    (void)error;
    does[0] = 0;
    calls = 0;
    tapedeck_json_text(tapedeck_json_member((const char *)options->bytes, "does"), does, sizeof does);
    if (strcmp(does, "no instance") == 0) return TAPEDECK_OK;
    if (strcmp(does, "counts") == 0) {
        host->failed(host->context, (uint64_t)(closed * 100 + released));
    }
    if (strcmp(does, "asks") == 0) {
        tapedeck_bytes path;
        host->warn(host->context, "a \xff b", 5);
        host->warn(host->context, NULL, 7);
        if (host->artifact(host->context, "../x", 4, TAPEDECK_RECORDING, 0, &path, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->artifact(host->context, "\xff\xfe", 2, TAPEDECK_RECORDING, 0, &path, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->artifact(host->context, "x", UINT64_MAX, TAPEDECK_RECORDING, 0, &path, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->artifact(host->context, "x", 1, TAPEDECK_RECORDING, 0, NULL, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->artifact(host->context, "x", 1, 7, 0, &path, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->follow(host->context, 0, NULL, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
        if (host->follow(host->context, 0, &nobody, NULL) == TAPEDECK_OK || unfollowed != 1) return TAPEDECK_OK;
        host->absent(host->context, 3);
        host->left_out(host->context, 4);
        if (host->told(host->context, NULL) != 0) return TAPEDECK_OK;
        host->mark(host->context, NULL, 3);
        host->loss(host->context, "\xff", 1, NULL);
    }
    *instance = does;
    return TAPEDECK_OK;
}

#define LEAD "{\"name\":\"seq\",\"type\":\"u64\"},{\"name\":\"timestamp\",\"type\":\"timestamp_ns\"}"

static int32_t streams(void *instance, const tapedeck_bytes *inputs, tapedeck_bytes *made, tapedeck_error *error)
{
    (void)instance;
    (void)inputs;
    (void)error;
    *made = tapedeck_static("[{\"name\":\"hostile\",\"kind\":\"attributes\",\"fields\":[" LEAD ",{\"name\":\"a\",\"type\":\"utf8\"}]}]");
    if (strcmp(does, "bad streams") == 0) *made = tapedeck_static("[{\"name\":\"hostile\",\"fields\":7}]");
    if (strcmp(does, "long streams") == 0) made->length = 1ull << 40;
    return TAPEDECK_OK;
}

/* One row whose text is "abc", laid out by hand, with one thing wrong. */
static tapedeck_bytes slab_with(const char *wrong)
{
    uint64_t length = 32 + 3 * 16 + 8 + 8 + 8 + 8;
    tapedeck_bytes slab;
    tapedeck_slab *header;
    tapedeck_column *columns;
    tapedeck_allocate(length, &slab);
    slab.release = count;
    memset((void *)slab.bytes, 0, length);
    header = (tapedeck_slab *)(void *)slab.bytes;
    columns = (tapedeck_column *)(void *)(header + 1);
    header->magic = TAPEDECK_SLAB_MAGIC;
    header->rows = 1;
    header->columns = 3;
    header->length = length;
    columns[0].values = 80;
    columns[1].values = 88;
    columns[0].values_length = columns[1].values_length = 8;
    columns[2].offsets = 96;
    columns[2].values = 104;
    columns[2].values_length = 3;
    ((int32_t *)(void *)(slab.bytes + 96))[1] = 3;
    memcpy((void *)(slab.bytes + 104), "abc", 3);
    if (strcmp(wrong, "magic") == 0) header->magic = 7;
    if (strcmp(wrong, "columns") == 0) header->columns = 2;
    if (strcmp(wrong, "rows") == 0) header->rows = 1u << 31;
    if (strcmp(wrong, "length") == 0) header->length = length + 8;
    if (strcmp(wrong, "cut short") == 0) slab.length = 16;
    if (strcmp(wrong, "2 GiB") == 0) header->length = slab.length = 1ull << 31;
    if (strcmp(wrong, "all memory") == 0) slab.length = UINT64_MAX;
    if (strcmp(wrong, "null") == 0) slab.bytes = NULL;
    if (strcmp(wrong, "offsets") == 0) ((int32_t *)(void *)(slab.bytes + 96))[1] = 1 << 30;
    if (strcmp(wrong, "text") == 0) memset((void *)(slab.bytes + 104), 0xff, 3);
    if (strcmp(wrong, "outside") == 0) columns[2].values = 1u << 31;
    if (strcmp(wrong, "misaligned") == 0) {
        memmove((void *)(slab.bytes + 4), slab.bytes, length);
        slab.bytes += 4;
    }
    return slab;
}

static int32_t act(const tapedeck_outputs *outputs, uint32_t *state, tapedeck_error *error)
{
    tapedeck_bytes slab;
    if (strcmp(does, "rubbish text") == 0) {
        error->message = tapedeck_static("a \xff\xfe b");
        error->hint = tapedeck_static("\x80");
        error->option = tapedeck_static("one\ntwo");
        return TAPEDECK_DATA;
    }
    if (strcmp(does, "no reason") == 0) return TAPEDECK_IO;
    if (strcmp(does, "unknown status") == 0) return tapedeck_fail(error, -77, "so there", NULL, NULL);
    if (strcmp(does, "unknown state") == 0) *state = 9;
    if (strcmp(does, "null push") == 0) {
        outputs->push(outputs->context, 0, NULL);
        return TAPEDECK_OK;
    }
    slab = slab_with(does);
    outputs->push(outputs->context, strcmp(does, "output 99") == 0 ? 99 : 0, &slab);
    if (strcmp(does, "two") == 0) {
        slab = slab_with("");
        outputs->push(outputs->context, 0, &slab);
    }
    if (strcmp(does, "then fails") == 0) return tapedeck_fail(error, TAPEDECK_IO, "unplugged", NULL, NULL);
    return TAPEDECK_OK;
}

/* Does it the first time; then behaves. */
static int32_t process(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_outputs *outputs,
                       tapedeck_error *error)
{
    uint32_t state;
    (void)instance;
    (void)input;
    (void)batch;
    if (calls++ > 0) does[0] = 0;
    return act(outputs, &state, error);
}

static int32_t next(void *instance, int64_t deadline, const tapedeck_outputs *outputs, uint32_t *state, tapedeck_error *error)
{
    (void)instance;
    (void)deadline;
    if (calls++ > 0) does[0] = 0;
    return act(outputs, state, error);
}

static int32_t finish(void *instance, const tapedeck_outputs *outputs, tapedeck_bytes *report, tapedeck_error *error)
{
    (void)instance;
    (void)outputs;
    (void)report;
    (void)error;
    return TAPEDECK_OK;
}

static void close_hostile(void *instance)
{
    (void)instance;
    closed++;
}

const tapedeck_plugin_table tapedeck_plugin = {
    MAGIC, SIZE, MAJOR, MINOR, KIND,
    describe, check, open_hostile, streams, KIND == TAPEDECK_SOURCE ? next : NULL, NULL, PROCESS, NULL, finish, NULL, NULL, NULL, CLOSE,
};
#endif
