// SPDX-License-Identifier: Apache-2.0
#include <quarrow/containers/checkpoint.h>
#include <quarrow/pipeline/file_job.h>

#include <cstdio>
#include <exception>

class Percent final : public quarrow::FileProgress {
 public:
  bool advanced(std::uint64_t done, std::uint64_t total, std::string_view) noexcept override {
    std::printf("\r%3.0f %%", total == 0 ? 100.0 : 100.0 * double(done) / double(total));
    std::fflush(stdout);
    return true;  // false would stop the job, and leave no file
  }
};

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s SOURCE.safetensors DESTINATION.safetensors\n", argv[0]);
    return 2;
  }
  const quarrow::Checkpoint source = quarrow::open_checkpoint(argv[1], quarrow::Io::kRead);
  const quarrow::Format format = quarrow::default_format(*quarrow::find_format("int8_rowwise"));
  const quarrow::StoredLayers stored = quarrow::find_stored_layers(source);
  quarrow::FilePlan plan = quarrow::plan_quantized(source, stored, {&format, 1}, {}, {});
  Percent percent;
  quarrow::run_file_job(source, plan, argv[2], {.progress = &percent}, {});
  std::printf("\n%zu of %zu tensors quantized, %llu bytes written\n", plan.layers.layers.size(),
              plan.tensors.size(), static_cast<unsigned long long>(plan.file_bytes()));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
