#include "lucid/npy.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

using namespace lucid;

namespace {

std::string file_of(const std::string& header, const std::string& data, char version = 1) {
  std::string out = "\x93NUMPY";
  out += version;
  out += '\0';
  out += static_cast<char>(header.size());
  out += '\0';
  if (version > 1) out += std::string(2, '\0');
  return out + header + data;
}

Tensor parse(const std::string& bytes) {
  std::istringstream in(bytes);
  return npy::read(in, static_cast<std::int64_t>(bytes.size()), "x.npy");
}

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const IoError& error) {
    return error.what();
  }
  return "accepted";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::string kData("\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0", 24);

}  // namespace

TEST_CASE("npy: what is saved is loaded") {
  const std::string path = (std::filesystem::temp_directory_path() / "lucid_npy_round_trip").string();
  for (DType dtype : {f32, f64, i64, i32, u8, boolean}) {
    CAPTURE(dtype);
    for (const Shape& shape : {Shape{}, Shape{4}, Shape{0, 2}, Shape{2, 1, 2}}) {
      const Tensor x = empty(shape, dtype);
      x.fill_(1);
      const std::uint32_t version = x.version();
      npy::save(path, x);
      CHECK(x.version() == version);
      CHECK(std::filesystem::file_size(path) % 64 == static_cast<std::uintmax_t>(x.nbytes() % 64));
      const Tensor y = npy::load(path);
      CHECK(y.shape() == shape);
      CHECK(y.dtype() == dtype);
      CHECK(y.to_vector<double>() == x.to_vector<double>());
    }
  }
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(npy::load(path), doctest::Contains("there is no such file"), IoError);
  CHECK_THROWS_WITH_AS(npy::save(path, zeros({1}, bf16)), doctest::Contains("bfloat16"), Error);
}

TEST_CASE("npy: files as NumPy writes them are read, in both orders and all versions") {
  const std::string c = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n";
  const std::string fortran = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n";
  for (char version : {1, 2, 3})
    CHECK(parse(file_of(c, kData, version)).to_vector<int>() == std::vector<int>{1, 2, 3, 4, 5, 6});
  CHECK(parse(file_of(fortran, kData)).to_vector<int>() == std::vector<int>{1, 3, 5, 2, 4, 6});
  CHECK(parse(file_of("{'shape': (6,), 'fortran_order': True, 'descr': '<i4'}", kData)).shape() == Shape{6});
}

TEST_CASE("npy: files that break a rule are refused") {
  const auto with = [](const std::string& header) { return refusal(file_of(header, kData)); };
  CHECK(contains(refusal("\x93NUMPY"), "it has 6 bytes"));
  CHECK(contains(refusal("0123456789"), "does not begin as one"));
  CHECK(contains(refusal(file_of("{}", kData, 9)), "version 9"));
  CHECK(contains(with("{}"), "lacks descr"));
  CHECK(contains(with("{'descr': '>i4', 'fortran_order': False, 'shape': (2, 3)}"), "'>i4'"));
  CHECK(
      contains(with("{'descr': '<i4', 'fortran_order': Maybe, 'shape': (2, 3)}"), "neither True nor False"));
  CHECK(contains(with("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 4)}"),
                 "needs 32 bytes, the file has 24"));
  CHECK(contains(with("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}"),
                 "needs 8 bytes, the file has 24"));
  CHECK(contains(with("{'descr': '<i4', 'fortran_order': False, 'shape': (-2, 3)}"), "not a size"));
  CHECK(contains(with("{'descr': '<i4', 'fortran_order': False, 'shape': (9223372036854775807, 9)}"),
                 "too large"));
  CHECK(contains(with("{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}"),
                 "'descr' twice"));
  CHECK(contains(with("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)} x"), "goes on after }"));
  CHECK(contains(refusal(file_of("{'descr': '|b1', 'fortran_order': False, 'shape': (24,)}", kData)),
                 "neither 0 nor 1"));
}

TEST_CASE("npy: no truncation and no single changed byte crashes the reader") {
  const std::string bytes = file_of("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n", kData);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    CHECK(refusal(bytes.substr(0, length)) != "accepted");
  int refused = 0;
  for (std::size_t i = 0; i + kData.size() < bytes.size(); ++i)
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      refused += refusal(changed) != "accepted";
    }
  CHECK(refused > 10000);
}
