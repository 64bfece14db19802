#include "lucid/npy.hpp"

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include "lucid/atomic_file.hpp"

namespace lucid::npy {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::int64_t kLargestHeader = 1 << 20;  // far beyond a header of twelve sizes
constexpr std::array<std::pair<DType, std::string_view>, 6> kTypes{
    {{f32, "<f4"}, {f64, "<f8"}, {i64, "<i8"}, {i32, "<i4"}, {u8, "|u1"}, {boolean, "|b1"}}};

struct Header {
  std::optional<DType> dtype;
  std::optional<bool> fortran;
  std::optional<Shape> shape;
};

// The header: a Python dictionary with the keys descr, fortran_order and shape, once each, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  Header parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !out_.dtype)
        out_.dtype = dtype();
      else if (key == "fortran_order" && !out_.fortran)
        out_.fortran = truth();
      else if (key == "shape" && !out_.shape)
        out_.shape = shape();
      else
        fail("its header has the key '", key, "' twice or against the format");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (!rest_.empty()) fail("its header goes on after }");
    if (!out_.dtype || !out_.fortran || !out_.shape) fail("its header lacks descr, fortran_order or shape");
    return out_;
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw IoError(str(name_, ": not a npy file: ", parts...));
  }
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip();
    if (rest_.empty() || rest_[0] != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail("its header lacks a ", std::string_view(&wanted, 1));
  }
  std::string_view quoted() {
    skip();
    const char quote = rest_.empty() ? '\0' : rest_[0];
    if (quote != '\'' && quote != '"') fail("its header lacks a quoted text");
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) fail("its header has a quotation without end");
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  DType dtype() {
    const std::string_view text = quoted();
    for (const auto& [dtype, descr] : kTypes)
      if (text == descr) return dtype;
    fail("elements of type '", text.substr(0, 20), "'; <f4, <f8, <i8, <i4, |u1 and |b1 can be read");
  }
  bool truth() {
    skip();
    for (const auto& [text, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (rest_.starts_with(text)) {
        rest_.remove_prefix(text.size());
        return value;
      }
    fail("its fortran_order is neither True nor False");
  }
  Shape shape() {
    Shape out;
    expect('(');
    while (!accept(')')) {
      skip();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc() || size < 0) fail("its shape holds what is not a size");
      if (out.size() == Shape::kMaxRank) fail("its rank is above ", Shape::kMaxRank);
      out.push_back(size);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return out;
  }

  std::string_view rest_;
  const std::string& name_;
  Header out_;
};

template <class... Parts>
[[noreturn]] void fail(const std::string& name, const Parts&... parts) {
  throw IoError(str(name, ": not a npy file: ", parts...));
}

void take(std::istream& in, void* to, std::int64_t count, const std::string& name) {
  in.read(static_cast<char*>(to), count);
  if (in.gcount() != count) fail(name, "it ends early");
}

// Fortran order: the first axis is innermost.
Strides strides_of(const Header& header) {
  if (!*header.fortran) return contiguous_strides(*header.shape);
  Strides out = *header.shape;
  std::int64_t step = 1;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t size = out[i];
    out[i] = step;
    step *= size;
  }
  return out;
}

std::byte* bytes_of(const Tensor& tensor) {
  return dispatch_all(tensor.dtype(), [&](auto tag) {
    return reinterpret_cast<std::byte*>(tensor.data_to_write<typename decltype(tag)::type>());
  });
}

}  // namespace

void save(const std::string& path, const Tensor& tensor) {
  check(tensor.defined(), "npy", "the tensor is undefined");
  std::string_view descr;
  for (const auto& [dtype, text] : kTypes)
    if (dtype == tensor.dtype()) descr = text;
  check(!descr.empty(), "npy", "NumPy has no type for ", tensor.dtype(), "; convert it with .to(lucid::f32)");
  std::string sizes;
  for (std::int64_t size : tensor.shape()) sizes += str(size, ",");
  std::string header = str("{'descr': '", descr, "', 'fortran_order': False, 'shape': (", sizes, "), }");
  // Magic, version and length take ten bytes; the elements begin at a multiple of 64.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 11, ' ');
  header += '\n';

  Tensor dense = tensor;
  if (!tensor.is_contiguous()) {
    dense = empty(tensor.shape(), tensor.dtype());
    dense.copy_(tensor.detach());
  }
  AtomicFile file(path);
  const char prefix[4] = {1, 0, static_cast<char>(header.size() & 0xff),
                          static_cast<char>(header.size() >> 8)};
  file.write(kMagic.data(), 6);
  file.write(prefix, 4);
  file.write(header.data(), static_cast<std::int64_t>(header.size()));
  file.write(dense.impl().storage->data() + dense.offset() * size_of(dense.dtype()), dense.nbytes());
  file.commit();
}

Tensor read(std::istream& in, std::int64_t bytes, const std::string& name) {
  if (bytes < 10) fail(name, "it has ", bytes, " bytes");
  std::array<char, 8> start;
  take(in, start.data(), 8, name);
  if (std::string_view(start.data(), 6) != kMagic) fail(name, "it does not begin as one");
  const int version = static_cast<unsigned char>(start[6]);
  if (version < 1 || version > 3) fail(name, "format version ", version, "; 1, 2 and 3 can be read");
  const std::int64_t width = version == 1 ? 2 : 4;
  std::uint32_t length = 0;  // little-endian, as this machine
  take(in, &length, width, name);
  const std::int64_t left = bytes - 8 - width;
  if (length > std::min(left, kLargestHeader)) fail(name, "its header is said to have ", length, " bytes");
  std::string text(length, '\0');
  take(in, text.data(), length, name);

  const Header header = HeaderParser(text, name).parse();
  std::int64_t needed = 0;
  try {
    needed = checked_mul("npy", "bytes", checked_numel("npy", *header.shape), size_of(*header.dtype));
  } catch (const Error&) {
    fail(name, "its shape ", *header.shape, " is too large");
  }
  if (needed != left - length)
    fail(name, "shape ", *header.shape, " needs ", needed, " bytes, the file has ", left - length);
  const Tensor out = needed == 0 ? empty(*header.shape, *header.dtype)
                                 : empty_strided(*header.shape, strides_of(header), *header.dtype);
  if (needed == 0) return out;
  std::byte* const data = bytes_of(out);
  take(in, data, needed, name);
  if (*header.dtype == boolean)
    for (std::int64_t i = 0; i < needed; ++i)
      if (std::to_integer<int>(data[i]) > 1) fail(name, "an element of type |b1 is neither 0 nor 1");
  return out;
}

Tensor load(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw IoError(str(path, ": there is no such file"));
  std::ifstream in(path, std::ios::binary);
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (!in || error) throw IoError(str(path, ": can't be read"));
  return read(in, static_cast<std::int64_t>(bytes), path);
}

}  // namespace lucid::npy
