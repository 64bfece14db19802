// lucid-segment as people run it, on a made-up scan of 24x16x12 voxels.

#include <nlohmann/json.hpp>

#include "examples/segmentation/metrics.hpp"
#include "examples/segmentation/nifti_io.hpp"
#include "tests/examples/program.hpp"

using namespace segment;
using support::contains;
using support::Outcome;
using support::Program;
using support::read_bytes;
using support::TempDir;
namespace fs = std::filesystem;

namespace {

constexpr int nx = 24, ny = 16, nz = 12;

/// A ball of label 3 and a plate of label 7 in each half.
int label_at(int x, int y, int z) {
  const int u = x < nx / 2 ? x : nx - 1 - x;  // the halves mirror each other
  if ((u - 6) * (u - 6) + (y - 5) * (y - 5) + (z - 6) * (z - 6) <= 9) return 3;
  return y >= 10 && y < 13 && u >= 3 && z >= 2 && z < 10 ? 7 : 0;
}

support::Nifti scan(bool labels) {
  support::Nifti nifti;
  nifti.dim = {3, nx, ny, nz, 1, 1, 1, 1};
  nifti.datatype = labels ? 4 : 16;
  nifti.bits = labels ? 16 : 32;
  unsigned noise = 1;
  for (int z = 0; z < nz; ++z) {
    for (int y = 0; y < ny; ++y) {
      for (int x = 0; x < nx; ++x) {
        const int label = label_at(x, y, z);
        noise = noise * 1664525U + 1013904223U;
        if (labels) {
          nifti.push(static_cast<std::int16_t>(label));
        } else {
          nifti.push(100.0F + 20.0F * static_cast<float>(label) + static_cast<float>(noise >> 28));
        }
      }
    }
  }
  return nifti;
}

/// A folder with a scan, an atlas and a config that trains for a second.
struct Bench : TempDir {
  nlohmann::json config = {
      {"image", "scan.nii.gz"},
      {"labels", "atlas.nii.gz"},
      {"classes", {{{"name", "ball"}, {"labels", {3}}}, {{"name", "plate"}, {"labels", {7}}}}},
      {"train", {{"x", {0, 12}}}},
      {"validation", {{"x", {12, 24}}}},
      {"patch", {8, 8, 8}},
      {"augment", {{"flip", {"x"}}, {"scale", 0.1}, {"shift", 0.1}}},
      {"net", {{"channels", {4, 8}}}},
      {"optimizer", {{"average", 0.9}, {"clip_grad_norm", 10}}},
      {"steps", 30},
      {"validate", {{"every", 10}}},
      {"checkpoint", {{"every", 7}}}};

  Bench() {
    support::write_gzip(*this / "scan.nii.gz", scan(false).bytes());
    support::write_gzip(*this / "atlas.nii.gz", scan(true).bytes());
  }

  std::string write_config() {
    support::write_bytes(*this / "config.json", config.dump());
    return *this / "config.json";
  }
  std::string threads = "1";

  std::vector<std::string> train_arguments(const std::string& run,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> all{"train",     write_config(), "--output", *this / run,
                                 "--threads", threads,        "--quiet"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Outcome run(const std::vector<std::string>& arguments) { return Program(arguments, *this / ".").wait(); }
  Outcome train(const std::string& run_name, const std::vector<std::string>& more = {}) {
    return run(train_arguments(run_name, more));
  }
};

/// Everything that metrics.jsonl says but the time.
std::vector<std::string> timeless_metrics(const std::string& run) {
  std::vector<std::string> lines;
  for (const Record& record : read_metrics(run + "/metrics.jsonl")) {
    nlohmann::json json = {record.event, record.step, record.loss, record.lr, record.mean_dice};
    for (const auto& [name, dice] : record.dice) json.push_back({name, dice});
    lines.push_back(json.dump());
  }
  return lines;
}

void check_same_run(const std::string& a, const std::string& b) {
  CHECK(timeless_metrics(a) == timeless_metrics(b));
  for (const char* file :
       {"model.safetensors", "model.json", "checkpoint.safetensors", "prediction.nii.gz"}) {
    INFO(file);
    CHECK(read_bytes(a + "/" + file) == read_bytes(b + "/" + file));
  }
}

void check_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
  INFO(outcome.err);
  CHECK(outcome.code == 2);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const std::string& part : parts) {
    INFO(part);
    CHECK(contains(outcome.err, part));
  }
}

}  // namespace

TEST_CASE("program: train, evaluate, predict") {
  Bench bench;
  bench.config["steps"] = 150;
  bench.config["net"]["channels"] = {8, 16};
  bench.config["patch"] = {8, 12, 12};
  const Outcome trained = bench.train("run");
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "Dice on the held-out region\n  ball "));
  CHECK(contains(trained.out, "report.html"));
  const std::string run = bench / "run";
  for (const char* file :
       {"model.safetensors", "model.json", "checkpoint.safetensors", "metrics.jsonl", "prediction.nii.gz",
        "overlay.png", "overlay_axial.png", "overlay_coronal.png", "overlay_sagittal.png", "report.html"}) {
    INFO(file);
    CHECK(fs::file_size(run + "/" + file) > 0);
  }
  const auto records = read_metrics(run + "/metrics.jsonl");
  REQUIRE(records.size() == 150 + 15 + 1);
  CHECK(records.front().step == 1);
  CHECK(records.front().lr == 0.01);
  CHECK(records.back().event == "end");
  CHECK(records.back().loss < 0.7 * records.front().loss);
  CHECK(records.back().mean_dice > 0.6);

  const NiftiFile<float> image = read_image(bench / "scan.nii.gz");
  const NiftiFile<std::int32_t> held_out = read_labels(run + "/prediction.nii.gz");
  require_same_grid("scan", image.volume, "prediction", held_out.volume);
  const auto& voxels = held_out.volume.voxels;
  CHECK(std::all_of(voxels.begin(), voxels.begin() + 12 * ny * nz, [](int v) { return v == 0; }));
  CHECK(std::count(voxels.begin(), voxels.end(), 2) > 0);

  const Outcome evaluated = bench.run({"evaluate", bench / "config.json", "--model", run});
  CHECK(evaluated.code == 0);
  CHECK_FALSE(evaluated.out.empty());
  CHECK(trained.out.starts_with(evaluated.out));

  const Outcome predicted = bench.run({"predict", "--model", run + "/model.safetensors", "--image",
                                       bench / "scan.nii.gz", "--output", bench / "new.nii.gz"});
  INFO(predicted.err);
  CHECK(predicted.code == 0);
  const NiftiFile<std::int32_t> whole = read_labels(bench / "new.nii.gz");
  require_same_grid("scan", image.volume, "new", whole.volume);
  CHECK(std::count(whole.volume.voxels.begin(), whole.volume.voxels.begin() + 12 * ny * nz, 2) > 0);
}

TEST_CASE("program: the prediction of a downsampled run is on the scan's grid") {
  Bench bench;
  bench.config["downsample"] = 2;
  bench.config["train"] = {{"x", {0, 6}}};
  bench.config["validation"] = {{"x", {6, 12}}};
  bench.config["patch"] = {5, 6, 4};  // sizes that the net has to pad
  bench.config["steps"] = 2;
  const Outcome trained = bench.train("run");
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  require_same_grid("scan", read_image(bench / "scan.nii.gz").volume, "prediction",
                    read_labels(bench / "run/prediction.nii.gz").volume);
}

TEST_CASE("program: a run repeats to the last digit, and another seed gives another") {
  Bench bench;
  bench.threads = "2";
  REQUIRE(bench.train("a").code == 0);
  REQUIRE(bench.train("b").code == 0);
  check_same_run(bench / "a", bench / "b");
  REQUIRE(bench.train("c", {"--seed", "1"}).code == 0);
  CHECK(timeless_metrics(bench / "a") != timeless_metrics(bench / "c"));
}

TEST_CASE("program: killed at any moment, a resumed run ends as the uninterrupted one") {
  Bench bench;
  bench.config["steps"] = 150;
  bench.config["net"]["norm"] = "batch";  // has buffers too
  REQUIRE(bench.train("whole").code == 0);
  for (const std::ptrdiff_t lines : {1, 25, 60, 110}) {
    Program program(bench.train_arguments("killed", {"--resume"}), bench / ".");
    REQUIRE(support::wait_for_lines(bench / "killed/metrics.jsonl", lines));
    program.kill(SIGKILL);
    REQUIRE(program.wait().code == 128 + SIGKILL);
  }
  CHECK(timeless_metrics(bench / "killed").size() < timeless_metrics(bench / "whole").size());
  const Outcome resumed = bench.train("killed", {"--resume"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  check_same_run(bench / "whole", bench / "killed");
  // A finished run that is resumed ends at once and changes nothing.
  REQUIRE(bench.train("killed", {"--resume"}).code == 0);
  check_same_run(bench / "whole", bench / "killed");
}

TEST_CASE("program: Ctrl-C leaves a usable model and a run that goes on") {
  Bench bench;
  bench.config["steps"] = 150;
  bench.config["checkpoint"]["every"] = 1000;
  REQUIRE(bench.train("whole").code == 0);
  for (const auto& [signal, lines] : {std::pair{SIGINT, 20}, {SIGTERM, 70}}) {
    Program program(bench.train_arguments("stopped", {"--resume"}), bench / ".");
    REQUIRE(support::wait_for_lines(bench / "stopped/metrics.jsonl", lines));
    program.kill(signal);
    const Outcome outcome = program.wait();
    CHECK(outcome.code == 128 + signal);
    CHECK(contains(outcome.err, "--resume goes on"));
    CHECK(bench.run({"evaluate", bench / "config.json", "--model", bench / "stopped"}).code == 0);
  }
  REQUIRE(bench.train("stopped", {"--resume"}).code == 0);
  check_same_run(bench / "whole", bench / "stopped");
}

TEST_CASE("program: bad input is refused in one line and nothing is written") {
  Bench bench;
  const auto refused = [&](const std::vector<std::string>& parts) {
    check_refused(bench.train("run"), parts);
    CHECK_FALSE(fs::exists(bench / "run"));
  };
  const nlohmann::json good = bench.config;
  SUBCASE("a missing file") {
    bench.config["image"] = "nowhere.nii.gz";
    refused({"nowhere.nii.gz: no such file"});
  }
  SUBCASE("a label grid that differs") {
    support::Nifti moved = scan(true);
    moved.rows[3] += 5;
    support::write_gzip(bench / "atlas.nii.gz", moved.bytes());
    refused({"scan.nii.gz", "atlas.nii.gz"});
  }
  SUBCASE("a truncated gz") {
    const std::string bytes = read_bytes(bench / "scan.nii.gz");
    support::write_bytes(bench / "scan.nii.gz", bytes.substr(0, bytes.size() / 2));
    refused({"scan.nii.gz"});
  }
  SUBCASE("NaN voxels") {
    support::Nifti bad = scan(false);
    const float nan = std::nanf("");
    std::memcpy(bad.data.data() + 400, &nan, sizeof nan);
    support::write_gzip(bench / "scan.nii.gz", bad.bytes());
    refused({"scan.nii.gz", "NaN"});
  }
  SUBCASE("a patch larger than the volume") {
    bench.config["patch"] = {8, 17, 8};
    refused({"patch: 8x17x8 is larger", "at most 16"});
  }
  SUBCASE("a warm-up longer than the training") {
    bench.config["schedule"] = {{"name", "poly"}, {"warmup", 4}};
    check_refused(bench.train("run", {"--steps", "3"}), {"schedule.warmup: 4 steps", "3 of the whole"});
  }
  SUBCASE("a wrong key") {
    bench.config["stepz"] = 3;
    refused({"config.json: stepz: unknown key", "did you mean steps?"});
  }
  SUBCASE("a missing config") {
    check_refused(bench.run({"train", bench / "no.json", "--output", bench / "run"}),
                  {"no.json: no such file"});
  }
  SUBCASE("wrong flags") {
    check_refused(bench.run({"train", bench.write_config(), "--output", bench / "run", "--stepz", "3"}),
                  {"--stepz"});
    check_refused(bench.run({"train", bench.write_config(), "--output", bench / "run", "--steps", "0"}),
                  {"steps"});
    check_refused(bench.run({}), {"subcommand"});
  }
  SUBCASE("a diverging run") {
    bench.config["optimizer"] = {{"name", "sgd"}, {"learning_rate", 100}, {"momentum", 0.99}};
    bench.config["net"]["norm"] = "none";
    check_refused(bench.train("run"), {"the loss of step", "learning_rate"});
  }
}

TEST_CASE("program: runs and models that don't fit are refused and kept") {
  Bench bench;
  REQUIRE(bench.train("run", {"--steps", "3"}).code == 0);
  const std::string checkpoint = read_bytes(bench / "run/checkpoint.safetensors");
  const std::string metrics = read_bytes(bench / "run/metrics.jsonl");
  const std::string weights = read_bytes(bench / "run/model.safetensors");

  check_refused(bench.train("run", {"--steps", "3"}), {"run: is not empty", "--resume"});
  check_refused(bench.train("run", {"--steps", "4", "--resume"}), {"steps is 3 there and 4 here"});
  bench.config["net"]["channels"] = {4, 6};
  check_refused(bench.train("run", {"--steps", "3", "--resume"}),
                {"checkpoint.safetensors", "net.channels is [4,8] there and [4,6] here"});
  check_refused(bench.run({"evaluate", bench.write_config(), "--model", bench / "run"}),
                {"net.channels is [4,8] there and [4,6] here"});
  bench.config["net"]["channels"] = {4, 8};
  bench.write_config();
  CHECK(read_bytes(bench / "run/checkpoint.safetensors") == checkpoint);
  CHECK(read_bytes(bench / "run/metrics.jsonl") == metrics);

  check_refused(bench.run({"evaluate", bench / "config.json", "--model", bench / "nowhere"}),
                {"nowhere", "no such file"});
  fs::create_directory(bench / "other");
  support::write_bytes(bench / "other/model.safetensors", weights.substr(0, weights.size() / 2));
  check_refused(bench.run({"evaluate", bench / "config.json", "--model", bench / "other"}),
                {"other/model.json: no such file"});
  fs::copy(bench / "run/model.json", bench / "other/model.json");
  check_refused(bench.run({"evaluate", bench / "config.json", "--model", bench / "other"}),
                {"other/model.safetensors"});

  support::write_bytes(bench / "new.nii", "mine");
  check_refused(bench.run({"predict", "--model", bench / "other", "--image", bench / "scan.nii.gz",
                           "--output", bench / "new.nii"}),
                {"other/model.safetensors"});
  check_refused(bench.run({"predict", "--model", bench / "run", "--image", bench / "gone.nii", "--output",
                           bench / "new.nii"}),
                {"gone.nii: no such file"});
  CHECK(read_bytes(bench / "new.nii") == "mine");
  check_refused(bench.run({"predict", "--model", bench / "run", "--image", bench / "scan.nii.gz", "--output",
                           bench / "scan.nii.gz"}),
                {"is the image itself"});
  check_refused(bench.run({"predict", "--model", bench / "run", "--image", bench / "scan.nii.gz", "--output",
                           bench / "x.png"}),
                {"x.png: names no NIfTI file"});
  check_refused(bench.run({"predict", "--model", bench / "run", "--image", bench / "scan.nii.gz", "--output",
                           bench / "no/x.nii"}),
                {"no: no such folder"});

  support::write_bytes(bench / "run/checkpoint.safetensors", checkpoint.substr(0, checkpoint.size() - 1));
  check_refused(bench.train("run", {"--steps", "3", "--resume"}), {"run/checkpoint.safetensors"});
  support::write_bytes(bench / "run/checkpoint.safetensors", weights);
  check_refused(bench.train("run", {"--steps", "3", "--resume"}),
                {"run/checkpoint.safetensors", "is no checkpoint"});
}
