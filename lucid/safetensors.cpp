#include "lucid/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "lucid/atomic_file.hpp"

namespace lucid::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are written as they lie in memory");

using Json = nlohmann::ordered_json;

// As large a header as other readers accept.
constexpr std::int64_t kLargestHeader = 100'000'000;
constexpr const char* kMetadataKey = "__metadata__";

constexpr std::array<std::pair<DType, std::string_view>, 7> kTypes{
    {{f32, "F32"}, {f64, "F64"}, {bf16, "BF16"}, {i64, "I64"}, {i32, "I32"}, {u8, "U8"}, {boolean, "BOOL"}}};

std::string_view type_name(DType dtype) {
  return std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& t) { return t.first == dtype; })->second;
}

// ---- writing ----

Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor out = empty(tensor.shape(), tensor.dtype());
  out.copy_(tensor.detach());
  return out;
}

const void* bytes_of(const Tensor& tensor) {
  return dispatch_all(tensor.dtype(),
                      [&](auto tag) -> const void* { return tensor.data<typename decltype(tag)::type>(); });
}

// ---- reading ----

class Reader {
 public:
  Reader(std::istream& in, std::int64_t bytes, const std::string& name)
      : in_(in), bytes_(bytes), name_(name) {}

  Contents read() {
    read_header();
    Contents out;
    for (auto& [name, entry] : header_.items()) {
      if (name == kMetadataKey)
        out.metadata = metadata(entry);
      else
        slots_.push_back(slot(name, entry));
    }
    check_coverage();
    std::vector<Tensor> tensors(slots_.size());
    for (std::size_t i : order_) tensors[i] = elements(slots_[i]);
    for (std::size_t i = 0; i < slots_.size(); ++i) out.tensors.add(slots_[i].name, std::move(tensors[i]));
    return out;
  }

 private:
  struct Slot {
    std::string name;
    DType dtype;
    Shape shape;
    std::int64_t begin, end;
  };

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw IoError(str(name_, ": not a safetensors file: ", parts...));
  }
  template <class... Parts>
  [[noreturn]] void fail_at(const std::string& tensor, const Parts&... parts) const {
    fail("tensor \"", std::string_view(tensor), "\" ", parts...);
  }

  void take(void* to, std::int64_t count) {
    in_.read(static_cast<char*>(to), count);
    if (in_.gcount() != count) fail("it ends early");
  }

  void read_header() {
    if (bytes_ < 8) fail("it has ", bytes_, " bytes, less than the 8 of the header's length");
    std::uint64_t length = 0;
    take(&length, 8);
    const std::int64_t most = std::min(bytes_ - 8, kLargestHeader);
    if (length > static_cast<std::uint64_t>(most))
      fail("its header is said to have ", length, " bytes, at most ", most, " are possible");
    std::string text(static_cast<std::size_t>(length), '\0');
    take(text.data(), static_cast<std::int64_t>(length));
    if (text.empty() || text[0] != '{') fail("its header does not begin with {");
    parse(text);
    data_ = bytes_ - 8 - static_cast<std::int64_t>(length);
  }

  // nlohmann keeps the last of repeated keys, so they are looked for while it parses.
  void parse(const std::string& text) {
    std::vector<std::set<std::string>> keys;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > 3) fail("its header is nested too deeply");
      if (event == Json::parse_event_t::object_start) keys.emplace_back();
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
        fail("its header has the key \"", std::string_view(value.get_ref<const std::string&>()), "\" twice");
      return true;
    };
    try {
      header_ = Json::parse(text, watch);
    } catch (const Json::exception& error) {
      fail("its header is not valid JSON (", error.what(), ")");
    }
  }

  Metadata metadata(const Json& entry) const {
    if (!entry.is_object()) fail(kMetadataKey, " is not an object");
    Metadata out;
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) fail(kMetadataKey, " \"", std::string_view(key), "\" is not a string");
      out.emplace(key, value.get<std::string>());
    }
    return out;
  }

  Slot slot(const std::string& name, const Json& entry) const {
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      fail_at(name, "does not have exactly dtype, shape and data_offsets");
    Slot out{name, dtype(name, entry["dtype"]), shape(name, entry["shape"]), 0, 0};
    const Json& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2)
      fail_at(name, "has data_offsets that are not two numbers");
    out.begin = natural(name, "data_offsets", offsets[0]);
    out.end = natural(name, "data_offsets", offsets[1]);
    if (out.begin > out.end || out.end > data_)
      fail_at(name, "has data_offsets [", out.begin, ", ", out.end, "], outside the ", data_,
              " bytes of data");
    std::int64_t needed = 0;
    try {
      needed = checked_mul("size", "bytes", checked_numel("size", out.shape), size_of(out.dtype));
    } catch (const Error&) {
      fail_at(name, "has shape ", out.shape, ", which is too large");
    }
    if (needed != out.end - out.begin)
      fail_at(name, "of shape ", out.shape, " and type ", type_name(out.dtype), " needs ", needed,
              " bytes, its data_offsets hold ", out.end - out.begin);
    return out;
  }

  DType dtype(const std::string& name, const Json& value) const {
    if (value.is_string())
      for (const auto& [dtype, text] : kTypes)
        if (value.get_ref<const std::string&>() == text) return dtype;
    fail_at(name, "has type ", std::string_view(dump(value)),
            "; F32, F64, BF16, I64, I32, U8 and BOOL can be read");
  }

  Shape shape(const std::string& name, const Json& value) const {
    if (!value.is_array()) fail_at(name, "has a shape that is not a list");
    if (value.size() > Shape::kMaxRank)
      fail_at(name, "has rank ", value.size(), ", at most ", Shape::kMaxRank, " is possible");
    Shape out;
    for (const Json& size : value) out.push_back(natural(name, "shape", size));
    return out;
  }

  std::int64_t natural(const std::string& name, const char* what, const Json& value) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX)
      fail_at(name, "has ", std::string_view(dump(value)), " in its ", what, ", which is not a size");
    return value.get<std::int64_t>();
  }

  // At most a line of a file's own text goes into a message.
  static std::string dump(const Json& value) {
    return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
  }

  // The tensors must fill the data exactly.
  void check_coverage() {
    order_.resize(slots_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(slots_[a].begin, slots_[a].end) < std::pair(slots_[b].begin, slots_[b].end);
    });
    std::int64_t at = 0;
    for (std::size_t i : order_) {
      if (slots_[i].begin < at) fail_at(slots_[i].name, "overlaps the one before it");
      if (slots_[i].begin > at) fail_at(slots_[i].name, "leaves a gap before it");
      at = slots_[i].end;
    }
    if (at != data_) fail(data_ - at, " bytes of data belong to no tensor");
  }

  Tensor elements(const Slot& slot) {
    const Tensor out = empty(slot.shape, slot.dtype);
    if (slot.dtype == boolean) {
      read_flags(slot, out);
    } else if (slot.end > slot.begin) {
      void* to = dispatch_all(
          slot.dtype, [&](auto tag) -> void* { return out.data_to_write<typename decltype(tag)::type>(); });
      take(to, slot.end - slot.begin);
    }
    return out;
  }

  void read_flags(const Slot& slot, const Tensor& out) {
    auto* const bytes = reinterpret_cast<std::uint8_t*>(out.data_to_write<bool>());
    if (slot.end > slot.begin) take(bytes, slot.end - slot.begin);
    for (std::int64_t i = 0; i < slot.end - slot.begin; ++i)
      if (bytes[i] > 1) fail_at(slot.name, "holds the byte ", int{bytes[i]}, " where a BOOL must be 0 or 1");
  }

  std::istream& in_;
  std::int64_t bytes_;
  const std::string& name_;
  Json header_;
  std::int64_t data_ = 0;  // bytes after the header
  std::vector<Slot> slots_;
  std::vector<std::size_t> order_;  // of the slots in the file
};

}  // namespace

void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  // The largest elements first, so that every tensor is aligned to its own.
  std::vector<const NamedTensors::Entry*> order;
  for (const auto& entry : tensors) {
    check(entry.second.defined(), "safetensors", "tensor \"", entry.first, "\" is undefined");
    check(entry.first != kMetadataKey, "safetensors", "the name ", kMetadataKey, " is reserved");
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  std::map<std::string_view, std::int64_t> begins;
  std::int64_t at = 0;
  for (const auto* entry : order) {
    begins[entry->first] = at;
    at = checked_add("safetensors", "file size", at, entry->second.nbytes());
  }

  Json header = Json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  for (const auto& [name, tensor] : tensors)
    header[name] = {{"dtype", type_name(tensor.dtype())},
                    {"shape", tensor.shape().to_vector()},
                    {"data_offsets", {begins[name], begins[name] + tensor.nbytes()}}};
  std::string text;
  try {
    text = header.dump();
  } catch (const Json::exception& error) {
    raise("safetensors", "a name or metadata entry is not UTF-8 (", error.what(), ")");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  const std::uint64_t length = text.size();
  file.write(&length, 8);
  file.write(text.data(), static_cast<std::int64_t>(text.size()));
  for (const auto* entry : order) {
    const Tensor dense = row_major(entry->second);
    file.write(bytes_of(dense), dense.nbytes());
  }
  file.commit();
}

Contents read(std::istream& in, std::int64_t bytes, const std::string& name) {
  return Reader(in, bytes, name).read();
}

Contents load_all(const std::string& path) {
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(path, error);
  if (error && error != std::errc::no_such_file_or_directory)
    throw IoError(str(path, ": can't be read: ", error.message()));
  if (!regular) throw IoError(str(path, ": there is no such file"));
  std::ifstream in(path, std::ios::binary);
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!in || error) throw IoError(str(path, ": can't be read"));
  return read(in, static_cast<std::int64_t>(bytes), path);
}

NamedTensors load(const std::string& path) { return load_all(path).tensors; }

}  // namespace lucid::safetensors
