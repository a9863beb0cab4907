/* A source: counts upwards by "step", "frames" times, or until it is told to stop. One column, "value". */

#include <stdio.h>

#include "tapedeck_plugin.h"

typedef struct ramp {
    const tapedeck_host *host;
    char id[256];
    double value, step;
    uint64_t left;
} ramp;

static void describe(tapedeck_bytes *descriptor)
{
    *descriptor = tapedeck_static(
        "{\"name\":\"c_ramp\",\"kind\":\"source\",\"version\":\"1.0.0\",\"summary\":\"Counts upwards\",\"takes\":[],"
        "\"gives\":[\"attributes\"],\"extension\":null,\"needs_journal\":false,\"needs_rate\":false,"
        "\"options\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"step\":{\"type\":\"number\",\"description\":\"How much the value grows\"},"
        "\"frames\":{\"type\":\"integer\",\"description\":\"How many frames there are\"}}}}");
}

static int32_t read_options(const tapedeck_bytes *options, ramp *self, tapedeck_error *error)
{
    static const char *const names[] = {"step", "frames"};
    const char *table = (const char *)options->bytes, *step, *frames;
    if (*table != '{' || tapedeck_json_unknown(table, names, 2) != NULL)
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "there are \"step\" and \"frames\"", NULL, NULL);
    step = tapedeck_json_member(table, "step");
    frames = tapedeck_json_member(table, "frames");
    self->step = step == NULL ? 1 : strtod(step, NULL);
    self->left = frames == NULL ? UINT64_MAX : strtoull(frames, NULL, 10);
    return TAPEDECK_OK;
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    ramp scratch;
    return read_options(options, &scratch, error);
}

static int32_t open_ramp(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                         const tapedeck_host *host, void **instance, tapedeck_error *error)
{
    ramp *self = (ramp *)calloc(1, sizeof *self);
    (void)inputs;
    if (self == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    self->host = host;
    tapedeck_json_text(tapedeck_json_member((const char *)context->bytes, "id"), self->id, sizeof self->id);
    if (read_options(options, self, error) != TAPEDECK_OK) {
        free(self);
        return TAPEDECK_OPTIONS;
    }
    *instance = self;
    return TAPEDECK_OK;
}

static int32_t streams(void *instance, const tapedeck_bytes *inputs, tapedeck_bytes *made, tapedeck_error *error)
{
    char *text = (char *)malloc(1024);
    (void)inputs;
    if (text == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    sprintf(text,
            "[{\"name\":\"%s\",\"kind\":\"attributes\",\"fields\":[{\"name\":\"seq\",\"type\":\"u64\"},"
            "{\"name\":\"timestamp\",\"type\":\"timestamp_ns\"},{\"name\":\"value\",\"type\":\"f64\"}]}]",
            ((const ramp *)instance)->id);
    *made = tapedeck_malloced(text);
    return TAPEDECK_OK;
}

static int32_t next(void *instance, int64_t deadline, const tapedeck_outputs *outputs, uint32_t *state, tapedeck_error *error)
{
    static const uint32_t widths[] = {8};
    ramp *self = (ramp *)instance;
    tapedeck_bytes slab;
    (void)deadline;
    if (self->left == 0) {
        *state = TAPEDECK_END;
        return TAPEDECK_OK;
    }
    if (tapedeck_make(1, widths, 1, &slab) != 0) return tapedeck_fail(error, TAPEDECK_DATA, "there is no memory", NULL, NULL);
    *(int64_t *)tapedeck_values_mut(&slab, 1) = self->host->now(self->host->context);
    *(double *)tapedeck_values_mut(&slab, 2) = self->value;
    self->value += self->step;
    /* The last frame and the end come in one call. */
    if (--self->left == 0) *state = TAPEDECK_END;
    outputs->push(outputs->context, 0, &slab);
    return TAPEDECK_OK;
}

/* One more frame, the last. */
static int32_t stop(void *instance, uint32_t *more, tapedeck_error *error)
{
    ramp *self = (ramp *)instance;
    (void)error;
    if (self->left > 1) self->left = 1;
    *more = self->left > 0;
    return TAPEDECK_OK;
}

static void close_ramp(void *instance)
{
    free(instance);
}

const tapedeck_plugin_table tapedeck_plugin = {
    TAPEDECK_MAGIC, sizeof(tapedeck_plugin_table), TAPEDECK_ABI_MAJOR, TAPEDECK_ABI_MINOR, TAPEDECK_SOURCE,
    describe, check, open_ramp, streams, next, stop, NULL, NULL, NULL, NULL, NULL, NULL, close_ramp,
};
