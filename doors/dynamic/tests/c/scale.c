/* A transform: multiplies one f64 column. Options: "column" (its name) and "factor". Written against the header alone. */

#include <stdio.h>

#include "tapedeck_plugin.h"

#define COLUMN_BYTES_MAX 256
#define INPUTS_MAX 16

typedef struct scale {
    char id[COLUMN_BYTES_MAX];
    char column[COLUMN_BYTES_MAX];
    double factor;
    uint32_t inputs;
    uint32_t places[INPUTS_MAX]; /* where the column stands in each input */
} scale;

static void describe(tapedeck_bytes *descriptor)
{
    *descriptor = tapedeck_static(
        "{\"name\":\"c_scale\",\"kind\":\"transform\",\"version\":\"1.0.0\",\"summary\":\"Multiplies one f64 column\","
        "\"takes\":[\"attributes\"],\"gives\":[],\"extension\":null,\"needs_journal\":false,\"needs_rate\":false,"
        "\"options\":{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"column\",\"factor\"],\"properties\":{"
        "\"column\":{\"type\":\"string\",\"description\":\"The column's name\"},"
        "\"factor\":{\"type\":\"number\",\"description\":\"What its values are multiplied by\"}}}}");
}

static int32_t read_options(const tapedeck_bytes *options, scale *self, tapedeck_error *error)
{
    static const char *const names[] = {"column", "factor"};
    const char *table = (const char *)options->bytes, *factor;
    if (*table != '{') return tapedeck_fail(error, TAPEDECK_OPTIONS, "the options are no table", NULL, NULL);
    if (tapedeck_json_unknown(table, names, 2) != NULL)
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "there is an unknown option", "There are \"column\" and \"factor\".", NULL);
    if (tapedeck_json_text(tapedeck_json_member(table, "column"), self->column, sizeof self->column) != 0)
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "\"column\" is not the name of a column", NULL, "column");
    factor = tapedeck_json_member(table, "factor");
    if (factor == NULL || (*factor != '-' && (*factor < '0' || *factor > '9')))
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "\"factor\" is not a number", "Write `factor = 2.0`.", "factor");
    self->factor = strtod(factor, NULL);
    return TAPEDECK_OK;
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    scale scratch;
    return read_options(options, &scratch, error);
}

static int32_t open_scale(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                          const tapedeck_host *host, void **instance, tapedeck_error *error)
{
    scale *self = (scale *)calloc(1, sizeof *self);
    int32_t status;
    (void)inputs;
    (void)host;
    if (self == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    status = read_options(options, self, error);
    if (status == TAPEDECK_OK
        && tapedeck_json_text(tapedeck_json_member((const char *)context->bytes, "id"), self->id, sizeof self->id) != 0)
        status = tapedeck_fail(error, TAPEDECK_PLUGIN, "the stage's id is too long", NULL, NULL);
    if (status == TAPEDECK_OK)
        *instance = self;
    else
        free(self);
    return status;
}

/* Where the column stands in a schema, if it is of type f64 and never null; 0 if it does not (0 is `seq`). */
static uint32_t place_of(const char *schema, const char *column)
{
    const char *field = tapedeck_json_first(tapedeck_json_member(schema, "fields"));
    uint32_t place;
    for (place = 0; field != NULL; place++, field = tapedeck_json_next(field))
        if (tapedeck_json_is(tapedeck_json_member(field, "name"), column))
            return tapedeck_json_is(tapedeck_json_member(field, "type"), "f64") ? place : 0;
    return 0;
}

/* The schemas as they came in, under the names "id" or, of several, "id.name". */
static int32_t streams(void *instance, const tapedeck_bytes *inputs, tapedeck_bytes *made, tapedeck_error *error)
{
    scale *self = (scale *)instance;
    const char *schema = tapedeck_json_first((const char *)inputs->bytes);
    const char *from = (const char *)inputs->bytes;
    int several = schema != NULL && tapedeck_json_next(schema) != NULL;
    char *text = (char *)malloc((size_t)inputs->length + INPUTS_MAX * (sizeof self->id + 4) + 1), *at = text;
    if (text == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    for (; schema != NULL; schema = tapedeck_json_next(schema)) {
        const char *name = tapedeck_json_member(schema, "name");
        uint32_t place = place_of(schema, self->column);
        if (place == 0 || self->inputs == INPUTS_MAX) {
            free(text);
            return tapedeck_fail(error, TAPEDECK_DATA, "an input has no f64 column of that name", NULL, "column");
        }
        self->places[self->inputs++] = place;
        /* What comes before the name, the id, and after it what was inside its quotes. */
        memcpy(at, from, (size_t)(name + 1 - from));
        at += name + 1 - from;
        at += sprintf(at, several ? "%s." : "%s", self->id);
        from = several ? name + 1 : tapedeck_json_end(name) - 1;
    }
    strcpy(at, from);
    *made = tapedeck_malloced(text);
    return TAPEDECK_OK;
}

static int32_t process(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_outputs *outputs,
                       tapedeck_error *error)
{
    const scale *self = (const scale *)instance;
    uint32_t row, rows = tapedeck_rows(batch);
    tapedeck_bytes copy;
    double *values;
    if (tapedeck_copy(batch, &copy) != 0) return tapedeck_fail(error, TAPEDECK_DATA, "there is no memory", NULL, NULL);
    values = (double *)tapedeck_values_mut(&copy, self->places[input]);
    for (row = 0; row < rows; row++) values[row] *= self->factor;
    outputs->push(outputs->context, input, &copy);
    return TAPEDECK_OK;
}

static int32_t finish(void *instance, const tapedeck_outputs *outputs, tapedeck_bytes *report, tapedeck_error *error)
{
    char *text = (char *)malloc(64);
    (void)outputs;
    (void)error;
    if (text != NULL) sprintf(text, "times %.17g", ((const scale *)instance)->factor);
    *report = tapedeck_malloced(text);
    return TAPEDECK_OK;
}

static void close_scale(void *instance)
{
    free(instance);
}

const tapedeck_plugin_table tapedeck_plugin = {
    TAPEDECK_MAGIC, sizeof(tapedeck_plugin_table), TAPEDECK_ABI_MAJOR, TAPEDECK_ABI_MINOR, TAPEDECK_TRANSFORM,
    describe, check, open_scale, streams, NULL, NULL, process, NULL, finish, NULL, NULL, NULL, close_scale,
};
