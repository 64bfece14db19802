#include "lucid/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

using namespace lucid;

namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("lucid_safetensors_" + name)).string();
}

std::string file_of(const std::string& header, const std::string& data = "") {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<char>(static_cast<std::uint64_t>(header.size()) >> (8 * i));
  return out + header + data;
}

safetensors::Contents parse(const std::string& bytes) {
  std::istringstream in(bytes);
  return safetensors::read(in, static_cast<std::int64_t>(bytes.size()), "x.safetensors");
}

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const IoError& error) {
    return error.what();
  }
  return "accepted";
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what is saved is loaded, in order, with types, shapes and metadata") {
  NamedTensors saved;
  saved.add("flags", Tensor::from({1, 0, 1}, {3}, boolean));
  saved.add("half", Tensor::from({1.5, -2}, {2, 1}, bf16));
  saved.add("bytes", Tensor::from({0, 255}, {2}, u8));
  saved.add("long", Tensor::from({-5}, {}, i64));
  saved.add("int", Tensor::from({7, 8}, {2}, i32));
  saved.add("float", Tensor::from({0.1, 0.2, 0.3, 0.4}, {2, 2}));
  saved.add("double", Tensor::from({0.1}, {1}, f64));
  saved.add("none", zeros({0, 3}));
  const std::string path = temporary("round_trip");
  safetensors::save(path, saved, {{"format", "pt"}, {"ä", "\n"}});

  const safetensors::Contents read = safetensors::load_all(path);
  REQUIRE(read.tensors.size() == saved.size());
  auto original = saved.begin();
  for (const auto& named : read.tensors) {
    const auto& name = named.first;
    const Tensor& tensor = named.second;
    CAPTURE(name);
    CHECK(name == original->first);
    CHECK(tensor.shape() == original->second.shape());
    CHECK(tensor.dtype() == original->second.dtype());
    CHECK(tensor.to_vector<double>() == original->second.to_vector<double>());
    ++original;
  }
  CHECK(read.metadata == safetensors::Metadata{{"format", "pt"}, {"ä", "\n"}});
  std::filesystem::remove(path);
}

TEST_CASE("a tensor of any strides is written in row-major order") {
  const Tensor x = empty_strided({1, 2, 1, 1, 3}, channels_last_strides({1, 2, 1, 1, 3}), f32);
  x.copy_(Tensor::from({1, 2, 3, 4, 5, 6}, {1, 2, 1, 1, 3}));
  const std::string path = temporary("strided");
  safetensors::save(path, {{"x", x}});
  CHECK(safetensors::load(path).at("x").to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  std::filesystem::remove(path);
}

TEST_CASE("a file is replaced whole or not at all") {
  const std::string path = temporary("replace");
  safetensors::save(path, {{"x", ones({2})}});
  CHECK_THROWS_WITH_AS(safetensors::save(path, {{"x", Tensor()}}), doctest::Contains("\"x\" is undefined"),
                       Error);
  CHECK(safetensors::load(path).at("x").to_vector<float>() == std::vector<float>{1, 1});
  CHECK_THROWS_WITH_AS(safetensors::save("/nowhere/at/all/x", {}), doctest::Contains("/nowhere/at/all/x"),
                       IoError);
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
    CHECK_FALSE(contains(file.path().filename().string(), "lucid_safetensors_replace."));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(safetensors::load(path), doctest::Contains("there is no such file"), IoError);
}

TEST_CASE("a valid file made by hand is read") {
  const std::string one("\x00\x00\x80\x3f", 4);
  const auto read = parse(file_of(
      "{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("b", "F32", "[]", "[4,8]") + "}  ", one + one));
  CHECK(read.tensors.at("b").item<float>() == 1.0f);
  CHECK(parse(file_of("{}")).tensors.empty());
}

TEST_CASE("files that break a rule are refused") {
  const std::string data4(4, '\0'), data8(8, '\0');
  const auto single = [&](const std::string& dtype, const std::string& shape, const std::string& offsets,
                          const std::string& data) {
    return refusal(file_of("{" + entry("a", dtype, shape, offsets) + "}", data));
  };
  CHECK(contains(refusal("1234567"), "has 7 bytes"));
  CHECK(contains(refusal(std::string(7, '\xff') + "\x7f{}"), "its header is said to have"));
  CHECK(contains(refusal(file_of("[]")), "does not begin with {"));
  CHECK(contains(refusal(file_of("{\"a\":")), "not valid JSON"));
  CHECK(contains(refusal(file_of("{\"a\":1}")), "exactly dtype, shape and data_offsets"));
  CHECK(contains(refusal(file_of("{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}")), "nested"));
  CHECK(contains(refusal(file_of("{" + entry("a", "F32", "[0]", "[0,0]") + "," +
                                 entry("a", "F32", "[0]", "[0,0]") + "}")),
                 "key \"a\" twice"));
  CHECK(contains(refusal(file_of("{\"__metadata__\":{\"k\":1}}")), "\"k\" is not a string"));
  CHECK(contains(single("F16", "[2]", "[0,4]", data4), "type \"F16\""));
  CHECK(contains(single("F32", "[1]", "[0,4]", ""), "outside the 0 bytes"));
  CHECK(contains(single("F32", "[1]", "[4,0]", data4), "outside the 4 bytes"));
  CHECK(contains(single("F32", "[2]", "[0,4]", data4), "needs 8 bytes, its data_offsets hold 4"));
  CHECK(contains(single("F32", "[-1]", "[0,4]", data4), "has -1 in its shape"));
  CHECK(contains(single("F32", "[1.0]", "[0,4]", data4), "has 1.0 in its shape"));
  CHECK(contains(single("F32", "[9223372036854775807, 4]", "[0,4]", data4), "too large"));
  CHECK(contains(single("F32", "[18446744073709551615]", "[0,4]", data4), "not a size"));
  CHECK(contains(single("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]", data4), "rank 13"));
  CHECK(contains(single("F32", "[1]", "[0]", data4), "not two numbers"));
  CHECK(contains(single("F32", "[1]", "[0,4]", data8), "4 bytes of data belong to no tensor"));
  CHECK(contains(single("F32", "[1]", "[4,8]", data8), "leaves a gap"));
  CHECK(contains(single("BOOL", "[4]", "[0,4]", std::string("\1\0\2\0", 4)), "holds the byte 2"));
  CHECK(contains(
      refusal(file_of("{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("b", "F32", "[1]", "[0,4]") + "}",
                      data4)),
      "tensor \"b\" overlaps"));
}

TEST_CASE("no truncation and no single changed byte of the header crashes the reader") {
  const std::string path = temporary("fuzz");
  safetensors::save(path, {{"a.weight", ones({2, 3})}, {"flag", Tensor::from({1, 0}, {2}, boolean)}},
                    {{"k", "v"}});
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  std::filesystem::remove(path);
  for (std::size_t length = 0; length < bytes.size(); ++length)
    CHECK(refusal(bytes.substr(0, length)) != "accepted");
  int refused = 0, accepted = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (int value = 0; value < 256; value += 5) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(value);
      ++(refusal(changed) == "accepted" ? accepted : refused);
    }
  CHECK(refused > accepted);
}
