/* A transform that looks at its first column through Arrow, and at the last batch once more when the streams have ended. */

#include <stdio.h>

#include "tapedeck_plugin.h"

/* As https://arrow.apache.org/docs/format/CDataInterface.html has them. */
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

typedef struct arrow {
    const tapedeck_host *host;
    struct ArrowArray last;
    double sum, last_sum;
    int copied;
} arrow;

static double sum_of(const struct ArrowArray *array)
{
    const struct ArrowArray *column = array->children[2];
    const double *values = (const double *)column->buffers[1] + column->offset;
    double sum = 0;
    int64_t row;
    for (row = 0; row < column->length; row++) sum += values[row];
    return sum;
}

static void describe(tapedeck_bytes *descriptor)
{
    *descriptor = tapedeck_static(
        "{\"name\":\"c_arrow\",\"kind\":\"transform\",\"version\":\"1.0.0\",\"summary\":\"Adds up\",\"takes\":[\"attributes\"],"
        "\"gives\":[],\"extension\":null,\"needs_journal\":false,\"needs_rate\":false,\"options\":{\"type\":\"object\"}}");
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    (void)options;
    (void)error;
    return TAPEDECK_OK;
}

static int32_t open_arrow(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                          const tapedeck_host *host, void **instance, tapedeck_error *error)
{
    arrow *self = (arrow *)calloc(1, sizeof *self);
    (void)options;
    (void)context;
    (void)inputs;
    if (self == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    self->host = host;
    *instance = self;
    return TAPEDECK_OK;
}

static int32_t streams(void *instance, const tapedeck_bytes *inputs, tapedeck_bytes *made, tapedeck_error *error)
{
    (void)instance;
    (void)inputs;
    (void)error;
    *made = tapedeck_static("[]");
    return TAPEDECK_OK;
}

static int32_t process(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_outputs *outputs,
                       tapedeck_error *error)
{
    arrow *self = (arrow *)instance;
    struct ArrowSchema schema;
    struct ArrowArray array;
    int32_t status = self->host->to_arrow(self->host->context, input, batch, &array, &schema, error);
    (void)outputs;
    if (status != TAPEDECK_OK) return status;
    if (strcmp(schema.format, "+s") != 0 || schema.n_children != array.n_children || strcmp(schema.children[2]->format, "g") != 0
        || strcmp(schema.children[0]->name, "seq") != 0)
        return tapedeck_fail(error, TAPEDECK_PLUGIN, "the Arrow schema is another", NULL, NULL);
    if (array.children[2]->buffers[1] != tapedeck_values(batch, 2)) self->copied = 1;
    schema.release(&schema);
    self->sum += sum_of(&array);
    if (self->last.release != NULL) self->last.release(&self->last);
    self->last = array;
    return TAPEDECK_OK;
}

static int32_t finish(void *instance, const tapedeck_outputs *outputs, tapedeck_bytes *report, tapedeck_error *error)
{
    arrow *self = (arrow *)instance;
    char text[128];
    tapedeck_bytes nothing = {NULL, 0, NULL, NULL, NULL};
    struct ArrowSchema schema;
    struct ArrowArray array;
    (void)outputs;
    if (self->last.release != NULL) {
        self->last_sum = sum_of(&self->last);
        self->last.release(&self->last);
    }
    (void)report;
    sprintf(text, "%g, the last batch %g%s", self->sum, self->last_sum, self->copied ? ", copied" : "");
    self->host->warn(self->host->context, text, strlen(text));
    /* An input that there isn't, and a batch that is none, are errors: this one is told to whoever called `finish`. */
    if (self->host->to_arrow(self->host->context, 0, &nothing, &array, &schema, NULL) == TAPEDECK_OK) return TAPEDECK_OK;
    return self->host->to_arrow(self->host->context, 9, &nothing, &array, &schema, error);
}

static void close_arrow(void *instance)
{
    free(instance);
}

const tapedeck_plugin_table tapedeck_plugin = {
    TAPEDECK_MAGIC, sizeof(tapedeck_plugin_table), TAPEDECK_ABI_MAJOR, TAPEDECK_ABI_MINOR, TAPEDECK_TRANSFORM,
    describe, check, open_arrow, streams, NULL, NULL, process, NULL, finish, NULL, NULL, NULL, close_arrow,
};
