/* NAME: a transform that multiplies every f64 value. Option: "gain". The contract stands in tapedeck_plugin.h. */

#include <stdio.h>

#include "tapedeck_plugin.h"

#define ID_BYTES_MAX 256
#define INPUTS_MAX 16
#define COLUMNS_MAX 1024

typedef struct scale {
    char id[ID_BYTES_MAX];
    double gain;
    uint32_t inputs;
    uint32_t columns[INPUTS_MAX]; /* how many f64 columns each input has, and where they stand */
    uint32_t places[INPUTS_MAX][COLUMNS_MAX];
} scale;

static void describe(tapedeck_bytes *descriptor)
{
    *descriptor = tapedeck_static(
        "{\"name\":\"NAME\",\"kind\":\"transform\",\"version\":\"0.1.0\",\"summary\":\"Multiplies every f64 value\","
        "\"takes\":[\"attributes\"],\"gives\":[],\"extension\":null,\"needs_journal\":false,\"needs_rate\":false,"
        "\"options\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"gain\":{\"type\":\"number\",\"default\":1,\"description\":\"What every value is multiplied by\"}}}}");
}

static int32_t read_options(const tapedeck_bytes *options, scale *self, tapedeck_error *error)
{
    static const char *const names[] = {"gain"};
    const char *table = (const char *)options->bytes, *gain;
    if (*table != '{') return tapedeck_fail(error, TAPEDECK_OPTIONS, "the options are no table", NULL, NULL);
    if (tapedeck_json_unknown(table, names, 1) != NULL)
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "there is an unknown option", "There is \"gain\".", NULL);
    gain = tapedeck_json_member(table, "gain");
    if (gain != NULL && *gain != '-' && (*gain < '0' || *gain > '9'))
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "\"gain\" is not a number", "Write `gain = 2.0`.", "gain");
    self->gain = gain == NULL ? 1.0 : strtod(gain, NULL);
    return TAPEDECK_OK;
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    scale *scratch = (scale *)calloc(1, sizeof *scratch);
    int32_t status;
    if (scratch == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    status = read_options(options, scratch, error);
    free(scratch);
    return status;
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

/* Notes where the f64 columns stand in a schema. */
static int note_columns(scale *self, const char *schema)
{
    const char *field = tapedeck_json_first(tapedeck_json_member(schema, "fields"));
    uint32_t place;
    if (self->inputs == INPUTS_MAX) return -1;
    for (place = 0; field != NULL; place++, field = tapedeck_json_next(field)) {
        if (!tapedeck_json_is(tapedeck_json_member(field, "type"), "f64")) continue;
        if (self->columns[self->inputs] == COLUMNS_MAX) return -1;
        self->places[self->inputs][self->columns[self->inputs]++] = place;
    }
    self->inputs++;
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
        if (note_columns(self, schema) != 0) {
            free(text);
            return tapedeck_fail(error, TAPEDECK_DATA, "there are too many inputs or f64 columns", NULL, NULL);
        }
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
    uint32_t column, row, rows = tapedeck_rows(batch);
    tapedeck_bytes copy;
    if (tapedeck_copy(batch, &copy) != 0) return tapedeck_fail(error, TAPEDECK_DATA, "there is no memory", NULL, NULL);
    for (column = 0; column < self->columns[input]; column++) {
        double *values = (double *)tapedeck_values_mut(&copy, self->places[input][column]);
        for (row = 0; row < rows; row++) values[row] *= self->gain;
    }
    outputs->push(outputs->context, input, &copy);
    return TAPEDECK_OK;
}

static int32_t finish(void *instance, const tapedeck_outputs *outputs, tapedeck_bytes *report, tapedeck_error *error)
{
    char *text = (char *)malloc(64);
    (void)outputs;
    (void)error;
    if (text != NULL) sprintf(text, "times %.17g", ((const scale *)instance)->gain);
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
