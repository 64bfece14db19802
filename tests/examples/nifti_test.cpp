#include <fcntl.h>

#include <cmath>
#include <limits>
#include <random>

#include <nifti/nifti1.h>

#include "examples/segmentation/nifti_io.hpp"
#include "tests/examples/support.hpp"

using namespace segment;
using support::contains;
using support::counting;
using support::error_of;
using support::Nifti;
using support::TempDir;

namespace {

std::string error_of_reading(const std::string& path) {
  return error_of([&] { read_image(path); });
}

std::string error_of_reading(const TempDir& dir, const Nifti& nifti) {
  support::write_bytes(dir / "bad.nii", nifti.bytes());
  return error_of_reading(dir / "bad.nii");
}

template <class T>
void check_counting(std::int16_t datatype) {
  const TempDir dir;
  for (const bool swapped : {false, true}) {
    Nifti nifti = counting<T>(datatype, swapped);
    // i8 and u8 wrap at 256; compare with what was stored.
    support::write_bytes(dir / "a.nii", nifti.bytes());
    support::write_gzip(dir / "a.nii.gz", nifti.bytes());
    for (const char* name : {"a.nii", "a.nii.gz"}) {
      const NiftiFile<float> file = read_image(dir / name);
      REQUIRE(file.volume.size == Size3{3, 4, 5});
      for (int x = 0; x < 3; ++x) {
        for (int y = 0; y < 4; ++y) {
          for (int z = 0; z < 5; ++z) {
            CHECK(file.volume.at(x, y, z) == static_cast<float>(static_cast<T>(x + 10 * y + 100 * z)));
          }
        }
      }
    }
  }
}

/// What a call writes to stderr, below any C++ stream.
template <class Call>
std::string stderr_of(const TempDir& dir, Call&& call) {
  std::fflush(stderr);
  const int saved = ::dup(2), file = ::open((dir / "stderr").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
  ::dup2(file, 2);
  call();
  std::fflush(stderr);
  ::dup2(saved, 2);
  ::close(saved);
  ::close(file);
  return support::read_bytes(dir / "stderr");
}

}  // namespace

TEST_CASE("nifti: every number type, both byte orders, plain and gzipped") {
  check_counting<std::uint8_t>(DT_UINT8);
  check_counting<std::int8_t>(DT_INT8);
  check_counting<std::uint16_t>(DT_UINT16);
  check_counting<std::int16_t>(DT_INT16);
  check_counting<std::uint32_t>(DT_UINT32);
  check_counting<std::int32_t>(DT_INT32);
  check_counting<std::uint64_t>(DT_UINT64);
  check_counting<std::int64_t>(DT_INT64);
  check_counting<float>(DT_FLOAT32);
  check_counting<double>(DT_FLOAT64);
}

TEST_CASE("nifti: z is contiguous in memory") {
  const TempDir dir;
  support::write_bytes(dir / "a.nii", counting<float>(DT_FLOAT32).bytes());
  const Volume<float> volume = read_image(dir / "a.nii").volume;
  CHECK(volume.voxels[0] == 0);
  CHECK(volume.voxels[1] == 100);
  CHECK(volume.voxels[5] == 10);
  CHECK(volume.voxels[20] == 1);
}

TEST_CASE("nifti: slope and intercept are applied, slope 0 means none") {
  const TempDir dir;
  Nifti nifti = counting<std::int16_t>(DT_INT16);
  nifti.slope = 0.5f;
  nifti.inter = -3;
  support::write_bytes(dir / "a.nii", nifti.bytes());
  CHECK(read_image(dir / "a.nii").volume.at(2, 3, 4) == 0.5f * 432 - 3);
  CHECK_ERROR(error_of([&] { read_labels(dir / "a.nii"); }), "a.nii", "voxel (1, 0, 0)", "-2.5",
              "whole numbers");
  nifti.slope = 0;
  support::write_bytes(dir / "a.nii", nifti.bytes());
  CHECK(read_image(dir / "a.nii").volume.at(2, 3, 4) == 432);
  CHECK(read_labels(dir / "a.nii").volume.at(2, 3, 4) == 432);
}

TEST_CASE("nifti: the affine is sform, else qform, else the voxel sizes") {
  const TempDir dir;
  Nifti nifti = counting<float>(DT_FLOAT32);
  nifti.qform = 1;
  const float quatern[6] = {0, 0, 1, 7, 8, 9};  // half a turn about z
  std::copy_n(quatern, 6, nifti.quatern);
  const float pixdim[4] = {1, 2, 3, 4};
  std::copy_n(pixdim, 4, nifti.pixdim);
  const auto affine = [&] {
    support::write_bytes(dir / "a.nii", nifti.bytes());
    return read_image(dir / "a.nii").volume.affine;
  };
  CHECK(affine() == Affine{{{1, 0, 0, -10}, {0, 1, 0, -20}, {0, 0, 1, -30}}});
  nifti.sform = 0;
  const Affine turned = affine();
  const Affine expected{{{-2, 0, 0, 7}, {0, -3, 0, 8}, {0, 0, 4, 9}}};
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 4; ++column)
      CHECK(turned[row][column] == doctest::Approx(expected[row][column]));
  }
  nifti.qform = 0;
  CHECK(affine() == Affine{{{2, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 4, 0}}});
}

TEST_CASE("nifti: files that are no scan are refused by name") {
  const TempDir dir;
  CHECK_ERROR(error_of_reading(dir / "none.nii.gz"), "none.nii.gz", "no such file", "check the path");
  CHECK_ERROR(error_of_reading("/tmp"), "not a regular file");
  support::write_bytes(dir / "scan.jpg", "x");
  CHECK_ERROR(error_of_reading(dir / "scan.jpg"), "scan.jpg", ".nii.gz");
  support::write_bytes(dir / "empty.nii", "");
  CHECK_ERROR(error_of_reading(dir / "empty.nii"), "empty.nii", "truncated");
  support::write_bytes(dir / "text.nii", std::string(1000, 'x'));
  CHECK_ERROR(error_of_reading(dir / "text.nii"), "text.nii", "not a NIfTI file");
}

TEST_CASE("nifti: truncated and damaged gzip") {
  const TempDir dir;
  Nifti nifti = counting<float>(DT_FLOAT32);
  nifti.data.clear();
  std::mt19937 random(1);  // so that gzip can't shrink it and every cut hurts
  for (int i = 0; i < 60; ++i) nifti.push(static_cast<float>(random() % 10000));
  support::write_gzip(dir / "whole.nii.gz", nifti.bytes());
  const std::string bytes = support::read_bytes(dir / "whole.nii.gz");
  CHECK(error_of_reading(dir / "whole.nii.gz").empty());
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    support::write_bytes(dir / "cut.nii.gz", bytes.substr(0, cut));
    const std::string error = error_of_reading(dir / "cut.nii.gz");
    INFO(cut, " of ", bytes.size(), ": ", error);
    CHECK(contains(error, "cut.nii.gz"));
    CHECK(!contains(error, "\n"));
  }
  std::string damaged = bytes;
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // in the checksum
  support::write_bytes(dir / "flip.nii.gz", damaged);
  CHECK_ERROR(error_of_reading(dir / "flip.nii.gz"), "flip.nii.gz", "damaged");
  support::write_bytes(dir / "short.nii", nifti.bytes().substr(0, 500));
  CHECK_ERROR(error_of_reading(dir / "short.nii"), "short.nii", "too short", "592");
}

TEST_CASE("nifti: NaN and infinity are named with their place") {
  const TempDir dir;
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Nifti nifti = counting<float>(DT_FLOAT32);
    std::memcpy(nifti.data.data() + 4 * (2 + 3 * (1 + 4 * 3)), &value, 4);
    CHECK_ERROR(error_of_reading(dir, nifti), "bad.nii", "voxel (2, 1, 3)", std::isnan(value) ? "nan" : "inf",
                "replace");
  }
  Nifti huge = counting<double>(DT_FLOAT64);
  const double value = 1e300;
  std::memcpy(huge.data.data(), &value, 8);
  CHECK_ERROR(error_of_reading(dir, huge), "voxel (0, 0, 0)");
}

TEST_CASE("nifti: headers with hostile sizes, types and affines") {
  const TempDir dir;
  const auto with = [&](auto change) {
    Nifti nifti = counting<float>(DT_FLOAT32);
    change(nifti);
    return error_of_reading(dir, nifti);
  };
  CHECK_ERROR(with([](Nifti& n) { n.dim = {3, 32767, 32767, 32767, 1, 1, 1, 1}; }), "more than", "voxels");
  CHECK_ERROR(with([](Nifti& n) { n.dim = {3, 1000, 1000, 1000, 1, 1, 1, 1}; }), "too short", "4000000352");
  CHECK_ERROR(with([](Nifti& n) { n.dim = {3, 3, -4, 5, 1, 1, 1, 1}; }), "size -4 along axis 2");
  CHECK_ERROR(with([](Nifti& n) { n.dim = {3, 0, 4, 5, 1, 1, 1, 1}; }), "size 0 along axis 1");
  CHECK_ERROR(with([](Nifti& n) { n.dim = {4, 3, 4, 1, 5, 1, 1, 1}; }), "5 volumes", "one 3D volume");
  CHECK_ERROR(with([](Nifti& n) { n.dim = {2, 12, 5, 1, 1, 1, 1, 1}; }), "single slice");
  CHECK_ERROR(with([](Nifti& n) { n.dim[0] = 9; }), "9 dimensions");
  CHECK_ERROR(with([](Nifti& n) { n.datatype = DT_RGB24; }), "RGB24", "convert");
  CHECK_ERROR(with([](Nifti& n) { n.datatype = DT_COMPLEX64; }), "COMPLEX64");
  CHECK_ERROR(with([](Nifti& n) { n.datatype = 0; }), "code 0");
  CHECK_ERROR(with([](Nifti& n) { n.datatype = 12345; }), "code 12345");
  CHECK_ERROR(with([](Nifti& n) { n.magic = std::string("ni1\0", 4); }), ".hdr/.img");
  CHECK_ERROR(with([](Nifti& n) { n.vox_offset = NAN; }), "puts the voxels");
  CHECK_ERROR(with([](Nifti& n) { n.vox_offset = -1; }), "puts the voxels");
  CHECK_ERROR(with([](Nifti& n) { n.vox_offset = 1e30f; }), "puts the voxels");
  CHECK_ERROR(with([](Nifti& n) { n.rows[3] = NAN; }), "affine", "NaN");
  CHECK_ERROR(with([](Nifti& n) { n.rows[0] = 0; }), "singular");
  CHECK(with([](Nifti& n) { n.dim = {5, 3, 4, 5, 1, 1, 1, 1}; }).empty());
}

TEST_CASE("nifti: random headers raise or read, and say nothing on stderr") {
  const TempDir dir;
  const std::string good = counting<std::int16_t>(DT_INT16).bytes();
  std::mt19937 random(7);
  int raised = 0, read = 0;
  const std::string noise = stderr_of(dir, [&] {
    for (int round = 0; round < 3000; ++round) {
      std::string bytes = good;
      for (unsigned i = 0, flips = 1 + random() % 6; i < flips; ++i) {
        bytes[random() % 352] = static_cast<char>(random());
      }
      support::write_bytes(dir / "fuzz.nii", bytes);
      (error_of_reading(dir / "fuzz.nii").empty() ? read : raised) += 1;
    }
  });
  CHECK(noise == "");
  CHECK(raised > 100);
  CHECK(read > 100);
  CHECK(raised + read == 3000);
}

TEST_CASE("nifti: grids are compared by size and by place") {
  const Volume<float> image({3, 4, 5}, identity_affine);
  Volume<std::int32_t> labels({3, 4, 5}, identity_affine);
  const auto error = [&] {
    return error_of([&] { require_same_grid("scan.nii", image, "atlas.nii", labels); });
  };
  CHECK(error().empty());
  labels.affine[1][3] = 0.005;
  CHECK(error().empty());
  labels.affine[1][3] = 2;
  CHECK_ERROR(error(), "atlas.nii", "scan.nii", "2 mm", "resample");
  labels.affine = identity_affine;
  labels.affine[2][2] = -1;
  CHECK_ERROR(error(), "atlas.nii", "8 mm");
  labels = Volume<std::int32_t>({3, 4, 6}, identity_affine);
  CHECK_ERROR(error(), "atlas.nii", "3x4x6", "3x4x5", "resample");
}

namespace {

/// The bytes of the header fields that place a file in space: pixdim, qform and sform.
std::string placing_bytes(const std::string& file) { return file.substr(76, 16) + file.substr(252, 76); }

Nifti tilted() {
  Nifti nifti = counting<std::int16_t>(DT_INT16);
  const float rows[12] = {-1.9f, 0.1f, 0, 33.3f, 0.11f, 2.9f, 0.3f, -7.7f, 0, -0.31f, 4.1f, 1.1f};
  std::copy_n(rows, 12, nifti.rows);
  const float pixdim[4] = {-1, 1.9f, 2.9f, 4.1f};
  std::copy_n(pixdim, 4, nifti.pixdim);
  const float quatern[6] = {0.1f, 0.2f, 0.3f, 7, 8, 9};
  std::copy_n(quatern, 6, nifti.quatern);
  nifti.qform = 2;
  nifti.sform = 4;
  nifti.slope = 2;
  return nifti;
}

}  // namespace

TEST_CASE("nifti: labels written on the scan's grid keep its header's place to the bit") {
  const TempDir dir;
  support::write_bytes(dir / "scan.nii", tilted().bytes());
  const NiftiFile<float> scan = read_image(dir / "scan.nii");
  Volume<std::uint8_t> labels(scan.volume.size, scan.volume.affine);
  for (std::size_t i = 0; i < labels.voxels.size(); ++i) labels.voxels[i] = static_cast<std::uint8_t>(i);
  for (const char* name : {"labels.nii", "labels.nii.gz"}) {
    write_labels(dir / name, labels, *scan.header);
    CHECK(placing_bytes(support::gunzip(dir / name)) == placing_bytes(tilted().bytes()));
    const NiftiFile<std::int32_t> back = read_labels(dir / name);
    CHECK(std::equal(back.volume.voxels.begin(), back.volume.voxels.end(), labels.voxels.begin(),
                     labels.voxels.end()));
    CHECK(back.volume.affine == scan.volume.affine);
  }
  CHECK(support::read_bytes(dir / "labels.nii").size() == 352 + 60);
  CHECK(dir.file_count() == 3);
}

TEST_CASE("nifti: labels on a downsampled crop lie where their blocks lay") {
  const TempDir dir;
  Nifti nifti = tilted();
  for (const bool sform : {true, false}) {
    nifti.sform = sform ? 4 : 0;
    support::write_bytes(dir / "scan.nii", nifti.bytes());
    const NiftiFile<float> scan = read_image(dir / "scan.nii");
    // Blocks of 2 from voxel (1, 0, 1): the first one's centre is (1.5, 0.5, 1.5).
    const Affine affine = subgrid_affine(scan.volume.affine, {1.5, 0.5, 1.5}, {2, 2, 2});
    write_labels(dir / "half.nii", Volume<std::uint8_t>({1, 2, 2}, affine, 3), *scan.header);
    const NiftiFile<std::int32_t> half = read_labels(dir / "half.nii");
    CHECK(half.volume.size == Size3{1, 2, 2});
    for (int row = 0; row < 3; ++row) {
      for (int column = 0; column < 4; ++column) {
        CHECK(half.volume.affine[row][column] == doctest::Approx(affine[row][column]).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("nifti: a failed write leaves the old file and no other") {
  const TempDir dir;
  support::write_bytes(dir / "scan.nii", counting<float>(DT_FLOAT32).bytes());
  const NiftiFile<float> scan = read_image(dir / "scan.nii");
  const Volume<std::uint8_t> labels(scan.volume.size, scan.volume.affine);
  CHECK_ERROR(error_of([&] { write_labels(dir / "no/labels.nii", labels, *scan.header); }), "no/labels.nii",
              "folder");
  std::filesystem::create_directory(dir / "taken.nii");
  CHECK_ERROR(error_of([&] { write_labels(dir / "taken.nii", labels, *scan.header); }), "taken.nii",
              "replaced");
  Volume<std::uint8_t> turned = labels;
  turned.affine = {{{0, 1, 0, 0}, {1, 0, 0, 0}, {0, 0, 1, 0}}};
  CHECK_ERROR(error_of([&] { write_labels(dir / "scan.nii", turned, *scan.header); }), "scan.nii", "turned");
  CHECK(error_of([&] { read_image(dir / "scan.nii"); }).empty());
  CHECK(dir.file_count() == 2);
}
