#include "expression.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <string_view>
#include <vector>

#include "lucid/error.hpp"

namespace run_cases {
namespace {

// Recursive descent, one function a precedence, lowest first; evaluates while it reads.
class Reader {
 public:
  Reader(const std::string& text, double variable) : text_(text), variable_(variable) {}

  double read() {
    skip_lambda();
    const double value = choice();
    skip_space();
    if (at_ != text_.size()) fail("something after the end");
    return value;
  }

 private:
  static constexpr int kDeepest = 300;         // of the three functions that can meet themselves
  static constexpr std::size_t kQuoted = 100;  // characters of the text that an error shows

  [[noreturn]] void fail(const char* why) const {
    lucid::raise("run_cases", "the lambda \"", text_.substr(0, kQuoted),
                 text_.size() > kQuoted ? "...\"" : "\"", " is not understood at character ", at_, ": ", why);
  }
  // Counts the calls under way of the functions through which every recursion passes.
  struct Level {
    explicit Level(Reader& in) : reader(in) {
      if (++reader.depth_ > kDeepest) reader.fail("too deep");
    }
    ~Level() { --reader.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    Reader& reader;
  };
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(std::string_view token) {
    skip_space();
    if (text_.compare(at_, token.size(), token) != 0) return false;
    const auto part_of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
    const std::size_t end = at_ + token.size();
    if (part_of_name(token.back()) && end < text_.size() && part_of_name(text_[end])) return false;
    at_ = end;
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) fail("a token is missing");
  }

  void skip_lambda() {
    if (!take("lambda")) return;
    variable_name_ = name();
    if (variable_name_.empty()) fail("the parameter's name is missing");
    expect(":");
  }

  // value [if condition else other]
  double choice() {
    const Level level(*this);
    const double value = either();
    if (!take("if")) return value;
    const bool holds = either() != 0;
    expect("else");
    const double other = choice();
    return holds ? value : other;
  }
  double either() {
    double value = both();
    while (take("or")) {
      const double right = both();
      value = value != 0 ? value : right;
    }
    return value;
  }
  double both() {
    double value = negation();
    while (take("and")) {
      const double right = negation();
      value = value == 0 ? value : right;
    }
    return value;
  }
  double negation() {
    const Level level(*this);
    if (take("not")) return negation() == 0;
    const double left = sum();
    if (take("<=")) return left <= sum();
    if (take(">=")) return left >= sum();
    if (take("==")) return left == sum();
    if (take("!=")) return left != sum();
    if (take("<")) return left < sum();
    if (take(">")) return left > sum();
    return left;
  }
  double sum() {
    double value = product();
    for (;;) {
      if (take("+"))
        value += product();
      else if (take("-"))
        value -= product();
      else
        return value;
    }
  }
  double product() {
    double value = sign();
    for (;;) {
      if (take("//")) {
        value = std::floor(value / sign());
      } else if (take("/")) {
        value /= sign();
      } else if (take("%")) {
        const double by = sign();
        value -= by * std::floor(value / by);
      } else if (!next_is("**") && take("*")) {
        value *= sign();
      } else {
        return value;
      }
    }
  }
  bool next_is(std::string_view token) {
    skip_space();
    return text_.compare(at_, token.size(), token) == 0;
  }
  double sign() {
    const Level level(*this);
    return take("-") ? -sign() : take("+") ? sign() : power();
  }
  double power() {
    const double base = atom();
    return take("**") || take("^") ? std::pow(base, sign()) : base;
  }
  double atom() {
    skip_space();
    if (at_ == text_.size()) fail("it ends too early");
    if (take("(")) {
      const double value = choice();
      expect(")");
      return value;
    }
    const auto first = static_cast<unsigned char>(text_[at_]);
    if (std::isdigit(first) || first == '.') return number();
    if (std::isalpha(first) || first == '_') return named(name());
    fail("a number, a name or a bracket is missing");
  }
  double number() {
    char* end = nullptr;
    const double value = std::strtod(text_.c_str() + at_, &end);
    const auto next = static_cast<std::size_t>(end - text_.c_str());
    if (next == at_) fail("a number is missing");
    at_ = next;
    return value;
  }
  // An identifier; of "math.cos" the last part.
  std::string name() {
    skip_space();
    std::string out;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '.')
        out.clear();
      else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_')
        out += c;
      else
        break;
    }
    return out;
  }
  double named(const std::string& name) {
    if (take("(")) return function(name);
    if (name == variable_name_) return variable_;
    if (name == "pi") return std::numbers::pi;
    if (name == "inf") return INFINITY;
    if (!variable_name_.empty()) fail("a second variable");
    variable_name_ = name;
    return variable_;
  }
  double function(const std::string& name) {
    std::vector<double> values{choice()};
    while (take(",")) values.push_back(choice());
    expect(")");
    if (name == "min") return *std::min_element(values.begin(), values.end());
    if (name == "max") return *std::max_element(values.begin(), values.end());
    if (name == "pow" && values.size() == 2) return std::pow(values[0], values[1]);
    if (values.size() != 1) fail("a function with another number of arguments");
    const double x = values[0];
    if (name == "cos") return std::cos(x);
    if (name == "sin") return std::sin(x);
    if (name == "exp") return std::exp(x);
    if (name == "log") return std::log(x);
    if (name == "sqrt") return std::sqrt(x);
    if (name == "abs") return std::abs(x);
    if (name == "floor" || name == "int") return name == "int" ? std::trunc(x) : std::floor(x);
    if (name == "ceil") return std::ceil(x);
    if (name == "float") return x;
    fail("an unknown function");
  }

  const std::string& text_;
  double variable_;
  std::string variable_name_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::function<double(std::int64_t)> parse_lambda(const std::string& text) {
  Reader(text, 1).read();  // refuses at once what it cannot read
  return [text](std::int64_t step) { return Reader(text, static_cast<double>(step)).read(); };
}

}  // namespace run_cases
