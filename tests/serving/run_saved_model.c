/* Runs one signature of a SavedModel with TensorFlow's C API and nothing else, as a C++ server does.

   run_saved_model FOLDER LATENTS_OP PSI_OP OUTPUT_OP OUTPUT_INDEX ROWS WIDTH < latents > output

   Reads ROWS * WIDTH float32 values from standard input, runs with psi 0.7 and writes the bytes of the output tensor.
   The exit code is TensorFlow's (3: INVALID_ARGUMENT), its message goes to standard error. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static void stop_on_error(TF_Status *status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(TF_GetCode(status));
}

static TF_Output output_of(TF_Graph *graph, const char *name, int index) {
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(100);
  }
  return output;
}

int main(int argc, char **argv) {
  if (argc != 8) return 101;
  const int64_t rows = atoll(argv[6]), width = atoll(argv[7]);
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  stop_on_error(status);

  const int64_t latents_shape[] = {rows, width};
  TF_Tensor *latents = TF_AllocateTensor(TF_FLOAT, latents_shape, 2, rows * width * sizeof(float));
  if (fread(TF_TensorData(latents), sizeof(float), rows * width, stdin) != (size_t)(rows * width)) return 102;
  TF_Tensor *psi = TF_AllocateTensor(TF_FLOAT, &rows, 1, rows * sizeof(float));
  for (int64_t row = 0; row < rows; row++) ((float *)TF_TensorData(psi))[row] = 0.7f;

  TF_Output inputs[] = {output_of(graph, argv[2], 0), output_of(graph, argv[3], 0)};
  TF_Output output = output_of(graph, argv[4], atoi(argv[5]));
  TF_Tensor *values[] = {latents, psi}, *result = NULL;
  TF_SessionRun(session, NULL, inputs, values, 2, &output, &result, 1, NULL, 0, NULL, status);
  stop_on_error(status);
  fwrite(TF_TensorData(result), 1, TF_TensorByteSize(result), stdout);
  return 0;
}
