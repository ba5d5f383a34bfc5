/* The KV cache: what stands at each position, compared by token number, pictures by their rows' checksums. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static const char MAGIC[] = "RKLLM-SIM-CACHE 1\n";

void cells_add(Cells *cells, const char *text, size_t length, int32_t id, uint32_t picture, bool begins) {
    if (cells->count == cells->room) {
        cells->room = cells->room ? cells->room * 2 : 256;
        cells->at = realloc(cells->at, (size_t)cells->room * sizeof(Cell));
    }
    cells->at[cells->count++] = (Cell){id, picture, begins, strndup(text, length)};
}

void cells_text(Cells *cells, const char *text, bool strip_special) {
    for (size_t length; (length = text_token(text)); text += length)
        if (!strip_special || !text_special(text))
            cells_add(cells, text, length, (int32_t)(text_checksum(text, length) & 0x7FFFFFFF), 0, false);
}

void cells_rows(Cells *cells, const float *rows, size_t count, size_t width, bool picture) {
    uint32_t whole = text_checksum(rows, count * width * sizeof(float));
    for (size_t row = 0; row < count; row++) {
        int32_t id = (int32_t)(text_checksum(rows + row * width, width * sizeof(float)) | 0x80000000u);
        cells_add(cells, "", 0, id, picture ? (whole ? whole : 1) : 0, picture && !row);
    }
}

void cells_cut(Cells *cells, int from, int to) {
    if (to > cells->count)
        to = cells->count;
    if (from >= to)
        return;
    for (int i = from; i < to; i++)
        free(cells->at[i].text);
    memmove(cells->at + from, cells->at + to, (size_t)(cells->count - to) * sizeof(Cell));
    cells->count -= to - from;
}

int cells_common(const Cells *one, const Cells *other, bool stop_at_picture) {
    int i = 0;
    while (i < one->count && i < other->count && one->at[i].id == other->at[i].id)
        if (stop_at_picture && one->at[i].picture)
            break;
        else
            i++;
    return i;
}

bool cells_save(const Cells *cells, const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    fputs(MAGIC, file);
    for (int i = 0; i < cells->count; i++) {
        const Cell *cell = cells->at + i;
        fprintf(file, "%d %u %d %zu\n%s\n", cell->id, cell->picture, cell->begins, strlen(cell->text), cell->text);
    }
    fputs("end\n", file);
    return fclose(file) == 0;
}

bool cells_load(Cells *cells, const char *path) {
    char line[64], text[4096];
    FILE *file = fopen(path, "rb");
    bool whole = false;
    if (file && fgets(line, sizeof line, file) && !strcmp(line, MAGIC)) {
        cells_cut(cells, 0, cells->count);
        while (fgets(line, sizeof line, file) && !(whole = !strcmp(line, "end\n"))) {
            int id, begins;
            unsigned picture;
            size_t length;
            if (sscanf(line, "%d %u %d %zu", &id, &picture, &begins, &length) != 4 || length >= sizeof text ||
                fread(text, 1, length + 1, file) != length + 1)
                break;
            cells_add(cells, text, length, id, picture, begins);
        }
    }
    if (file)
        fclose(file);
    return whole;
}

void cells_show(const Cells *cells, Text *text) {
    text_add(text, "", 0);
    for (int i = 0; i < cells->count; i++) {
        const Cell *cell = cells->at + i;
        if (!cell->picture) {
            text_add(text, cell->text, strlen(cell->text));
        } else if (cell->begins) {
            int rows = 1;
            while (i + rows < cells->count && cell[rows].picture == cell->picture && !cell[rows].begins)
                rows++;
            text_put(text, "[%08x*%d]", cell->picture, rows);
        }
    }
}
